"""Revocation lists as OpenSSL, GnuTLS and `cryptography` read them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID

from atcaprov import CertificateError, Code, UsageError
from atcaprov.certs.descriptions.description import CertificateDescription, default_description, default_text
from atcaprov.certs.descriptions.template import device_definition
from provisioning_server.issuing.issuance import issue
from provisioning_server.revocation.crl import CrlIssuer, PendingCrl, RevokedCertificate, crl_pem, distribution_uris
from provisioning_server.revocation.crl_contents import issuer_of
from provisioning_server.revocation.reasons import MEANINGS, Reason, read_reason
from tests.certs.test_distribution_points import URIS, listed
from tests.support.certificates import DEVICE
from tests.support.crl_judges import (
    ChainFiles,
    certtool_accepts_crl,
    certtool_finds_revoked,
    certtool_shown,
    openssl_verdict,
)
from tests.support.in_memory_signer import NOW, MemorySigner

END: Final = NOW + timedelta(days=7)
HOUR_LATER: Final = NOW + timedelta(hours=1)
CHIP: Final = bytes.fromhex("0123cafecafecafeee")
DESCRIPTIONS: Final = pytest.mark.parametrize(
    "device", [default_text("device"), listed(default_text("device"), *URIS)], ids=["no address", "two addresses"]
)


def signer_of(device: str = default_text("device")) -> MemorySigner:
    description = CertificateDescription.from_toml(device)
    definition = device_definition(description, signer=default_description("signer"), at=NOW)
    return MemorySigner(device=definition)


def certificate_of(signer: MemorySigner) -> bytes:
    return issue(signer, DEVICE.public, CHIP, NOW).certificate


def serial_of(certificate: bytes) -> bytes:
    number = x509.load_der_x509_certificate(certificate).serial_number
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def crl_of(
    signer: MemorySigner, *serials: bytes, number: int = 1, at: datetime = NOW, reason: Reason = Reason.UNSPECIFIED
) -> bytes:
    entries = [RevokedCertificate(serial, NOW, reason) for serial in serials]
    issuer = CrlIssuer.of(signer.documents)
    pending = PendingCrl(issuer, entries, number=number, this_update=at, next_update=at + timedelta(days=7))
    return pending.finish(signer.sign(pending.digest))


def written(folder: Path, crl: bytes, name: str = "signer.crl.pem") -> Path:
    path = folder / name
    path.write_bytes(crl_pem(crl))
    return path


def files_of(folder: Path, signer: MemorySigner, device: bytes) -> ChainFiles:
    documents = signer.documents
    return ChainFiles.write(folder, documents.root_certificate, documents.signer_certificate, device)


@DESCRIPTIONS
def test_openssl_tells_good_from_revoked(tmp_path: Path, device: str) -> None:
    signer = signer_of(device)
    certificate = certificate_of(signer)
    files = files_of(tmp_path, signer, certificate)
    assert openssl_verdict(files, [written(tmp_path, crl_of(signer))], HOUR_LATER) == "OK"
    assert (
        openssl_verdict(files, [written(tmp_path, crl_of(signer, b"\x40" + bytes(14) + b"\x01"))], HOUR_LATER) == "OK"
    )
    revoked = written(tmp_path, crl_of(signer, serial_of(certificate), reason=Reason.KEY_COMPROMISE))
    assert openssl_verdict(files, [revoked], HOUR_LATER).endswith("certificate revoked")


@DESCRIPTIONS
def test_openssl_takes_no_old_foreign_or_missing_list(tmp_path: Path, device: str) -> None:
    signer, other = signer_of(device), signer_of(device)
    files = files_of(tmp_path, signer, certificate_of(signer))
    crl = written(tmp_path, crl_of(signer))
    assert openssl_verdict(files, [crl], END + timedelta(seconds=1)).endswith("CRL has expired")
    assert openssl_verdict(files, [crl], NOW - timedelta(seconds=1), "-partial_chain").endswith("CRL is not yet valid")
    assert openssl_verdict(files, [written(tmp_path, crl_of(other))], HOUR_LATER).endswith(
        "unable to get certificate CRL"
    )
    assert openssl_verdict(files, [], HOUR_LATER).endswith("unable to get certificate CRL")


def test_a_list_of_another_address_is_not_taken(tmp_path: Path) -> None:
    signer, elsewhere = signer_of(listed(default_text("device"), URIS[0])), signer_of()
    files = files_of(tmp_path, signer, certificate_of(signer))
    issuer = CrlIssuer(signer.documents.signer_certificate, signer.documents.signer_public_key, (URIS[1],))
    pending = PendingCrl(issuer, [], number=1, this_update=NOW, next_update=END)
    crl = written(tmp_path, pending.finish(signer.sign(pending.digest)))
    assert openssl_verdict(files, [crl], HOUR_LATER).endswith("different CRL scope")
    assert CrlIssuer.of(elsewhere.documents).uris == ()


@DESCRIPTIONS
def test_gnutls_verifies_it(tmp_path: Path, device: str) -> None:
    signer, other, today = signer_of(device), signer_of(device), datetime.now(UTC)
    certificate = certificate_of(signer)
    files = files_of(tmp_path, signer, certificate)
    crl = written(tmp_path, crl_of(signer, b"\x40\x99", number=258, at=today))
    assert certtool_accepts_crl(files, crl)
    assert not certtool_finds_revoked(files, crl)
    shown = certtool_shown(crl)
    assert "CRL Number (not critical): 0102" in shown
    assert "Serial Number (hex): 4099" in shown
    revoked = written(tmp_path, crl_of(signer, serial_of(certificate), at=today))
    assert certtool_finds_revoked(files, revoked)
    assert not certtool_accepts_crl(files, written(tmp_path, crl_of(signer, at=today - timedelta(days=8))))
    assert not certtool_accepts_crl(files, written(tmp_path, crl_of(other, at=today)))


@DESCRIPTIONS
def test_it_has_the_fields_of_its_profile(device: str) -> None:
    signer = signer_of(device)
    crl = x509.load_der_x509_crl(crl_of(signer, b"\x40\x01", b"\x00\xfe", number=1 << 150, reason=Reason.SUPERSEDED))
    certificate = x509.load_der_x509_certificate(signer.documents.signer_certificate)
    assert crl.is_signature_valid(certificate.public_key())  # type: ignore[arg-type]  # P-256
    assert crl.issuer.public_bytes() == certificate.subject.public_bytes()
    assert (crl.last_update_utc, crl.next_update_utc) == (NOW, END)
    authority = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    subject = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert authority.key_identifier == subject.digest
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 1 << 150
    scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert scope.critical
    assert scope.value.only_contains_user_certs
    addresses = [name.value for name in scope.value.full_name or []]
    assert addresses == list(distribution_uris(certificate_of(signer)))
    assert [each.serial_number for each in crl] == [0x4001, 0xFE]
    for each in crl:
        assert each.revocation_date_utc == NOW.replace(microsecond=0)
        value = each.extensions.get_extension_for_oid(CRLEntryExtensionOID.CRL_REASON).value
        assert value == x509.CRLReason(x509.ReasonFlags.superseded)


def test_an_unspecified_reason_is_left_out() -> None:
    (entry,) = x509.load_der_x509_crl(crl_of(signer_of(), b"\x40\x01"))
    assert len(entry.extensions) == 0


def test_thousands_of_entries(tmp_path: Path) -> None:
    signer = signer_of()
    serials = [0x40_000000 + number for number in range(5_000)]
    certificate = certificate_of(signer)
    crl = crl_of(signer, *(each.to_bytes(4, "big") for each in serials), serial_of(certificate))
    assert len(x509.load_der_x509_crl(crl)) == 5_001
    files = files_of(tmp_path, signer, certificate)
    assert openssl_verdict(files, [written(tmp_path, crl)], HOUR_LATER).endswith("certificate revoked")


def test_the_same_list_has_the_same_bytes() -> None:
    signer = signer_of()
    issuer = CrlIssuer.of(signer.documents)
    entries = [RevokedCertificate(b"\x40\x01", NOW, Reason.SUPERSEDED)]
    made = [PendingCrl(issuer, entries, number=7, this_update=NOW, next_update=END) for _ in range(2)]
    assert made[0].unsigned == made[1].unsigned


def test_a_signature_of_something_else_is_refused() -> None:
    signer = signer_of()
    pending = PendingCrl(CrlIssuer.of(signer.documents), [], number=1, this_update=NOW, next_update=END)
    with pytest.raises(CertificateError, match="does not verify") as caught:
        pending.finish(signer.sign(bytes(32)))
    assert caught.value.code == Code.KEY_MISMATCH


def test_a_signer_that_may_not_sign_lists_is_refused() -> None:
    text = default_text("signer").replace(', "crl_sign"', "")
    signer = MemorySigner(description=CertificateDescription.from_toml(text))
    with pytest.raises(UsageError, match="cRLSign is missing") as caught:
        CrlIssuer.of(signer.documents)
    assert caught.value.code == Code.CRL_SIGN_MISSING


@pytest.mark.parametrize("reason", Reason)
def test_reasons_are_read_in_any_case(reason: Reason) -> None:
    assert read_reason(reason.upper()) is read_reason(reason.lower()) is reason
    assert MEANINGS[reason]


@pytest.mark.parametrize("text", ["", "broken", "certificateHold", "removefromcrl", "cACompromise", "a" * 300])
def test_other_reasons_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a reason") as caught:
        read_reason(text)
    assert "keyCompromise" in caught.value.advice
    assert len(caught.value.what) < 200


def test_a_list_names_an_address_only_if_all_certificates_of_its_signer_do() -> None:
    with_address, without = signer_of(listed(default_text("device"), *URIS)), signer_of()
    documents = with_address.documents
    before = replace(documents, device_definition=without.documents.device_definition)
    assert issuer_of(documents, [documents]).uris == URIS
    assert issuer_of(documents, [documents, before]).uris == ()
    assert issuer_of(before, [documents, before]).uris == ()
