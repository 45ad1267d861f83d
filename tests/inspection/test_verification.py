"""Verification of chains that others issued: roots of any kind of key, issuers in between, and what breaks a chain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from atcaprov import Code, Device
from atcaprov.errors import AtcaProvError, DeviceError
from atcaprov.inspection.certificates.leftovers import certificates_by_slot
from atcaprov.inspection.snapshot import ChipSnapshot
from atcaprov.inspection.verification import TrustSources, Verdict, Verification, verify_chip
from tests.inspection.test_nerves_key import SHORT_OTP, compressed, issued_device, issued_signer
from tests.support.certificates import DEVICE, SIGNER, Key
from tests.support.stored_chip import stored_chip

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)


class Signing:
    """A device that signs with a key, or refuses to."""

    def __init__(self, key: Key | None = DEVICE) -> None:
        self._key = key

    def sign(self, slot: int, digest: bytes) -> bytes:
        if self._key is None:
            raise DeviceError("The chip refused Sign.", command="Sign", status=0x0F)
        return self._key.sign(digest)


def verified(chip: ChipSnapshot, *, key: Key | None = DEVICE, now: datetime = NOW, **sources: Any) -> Verification:
    return verify_chip(cast("Device", Signing(key)), chip, TrustSources(now, **sources))


def certificate(name: str, issuer: str, key: Any, signed_by: Any, **options: Any) -> bytes:
    """Return a certificate; `ca` and `usage` are its extensions, if given."""
    subject, above = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer))
    builder = x509.CertificateBuilder(above, subject, key.public_key(), 9, BEGIN, END)
    if "ca" in options:
        constraints = x509.BasicConstraints(ca=options["ca"], path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    if "usage" in options:
        usage = x509.KeyUsage(True, False, False, False, False, options["usage"], False, False, False)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(signed_by, hashes.SHA256()).public_bytes(Encoding.DER)


RSA = rsa.generate_private_key(65537, 2048)
BETWEEN = ec.generate_private_key(ec.SECP384R1())
ROOT_CERTIFICATE = certificate("root", "root", RSA, RSA, ca=True, usage=True)
ISSUER = certificate("between", "root", BETWEEN, RSA, ca=True, usage=True)
WHOLE = certificate("device", "between", DEVICE.private, BETWEEN)


def whole(der: bytes = WHOLE, *issuers: bytes) -> ChipSnapshot:
    """Return a chip with a whole certificate in slot 8 and those of issuers in the slots behind it."""
    content = der + b"".join(issuers)
    slots = {8: content[:416]} | {9 + n: content[416 + 72 * n :][:72] for n in range(7)}
    return stored_chip(slots, {2: DEVICE.public})


def test_chain_over_an_issuer_in_between_to_an_rsa_root() -> None:
    result = verified(whole(), root=ROOT_CERTIFICATE, issuers=[ISSUER])
    assert result.verdict is Verdict.GOOD
    assert result.chain is not None
    assert [each.der for each in result.chain.certificates] == [WHOLE, ISSUER]


def test_issuer_that_is_on_the_chip_is_found_there() -> None:
    result = verified(whole(WHOLE, ISSUER), root=ROOT_CERTIFICATE)
    assert result.verdict is Verdict.GOOD


def failed(result: Verification) -> tuple[str, str]:
    """Return the step that failed and the error's code."""
    assert result.verdict is Verdict.NOT_GOOD
    assert isinstance(result.error, AtcaProvError)
    return result.steps[-1].name, result.error.code


def test_missing_issuer_and_wrong_root_are_told_apart_from_a_good_chain() -> None:
    other = certificate("root", "root", BETWEEN, BETWEEN, ca=True, usage=True)
    assert failed(verified(whole(), root=ROOT_CERTIFICATE)) == ("chain", Code.ROOT_NOT_PINNED)
    assert failed(verified(whole(), root=other, issuers=[ISSUER])) == ("chain", Code.ROOT_NOT_PINNED)


@pytest.mark.parametrize("options", [{}, {"ca": False}, {"ca": True, "usage": False}])
def test_issuer_that_is_no_ca_breaks_the_chain(options: dict[str, bool]) -> None:
    issuer = certificate("between", "root", BETWEEN, RSA, **options)
    result = verified(whole(), root=ROOT_CERTIFICATE, issuers=[issuer])
    assert failed(result) == ("chain", Code.CHAIN_INVALID)


def test_another_key_in_the_chip_is_not_good() -> None:
    result = verified(whole(), key=SIGNER, root=ROOT_CERTIFICATE, issuers=[ISSUER])
    assert failed(result) == ("key", Code.KEY_MISMATCH)


def test_key_that_refuses_to_sign_proves_nothing() -> None:
    """So does the twin of a chip, which shows the certificate and has no key."""
    result = verified(whole(), key=None, root=ROOT_CERTIFICATE, issuers=[ISSUER])
    assert failed(result) == ("key", Code.KEY_MISMATCH)
    assert "did not sign" in result.steps[-1].what


@pytest.mark.parametrize("now", [datetime(2025, 12, 31, tzinfo=UTC), datetime(2046, 1, 2, tzinfo=UTC)])
def test_dates_are_judged_by_the_given_clock(now: datetime) -> None:
    result = verified(whole(), now=now, root=ROOT_CERTIFICATE, issuers=[ISSUER])
    assert failed(result) == ("dates", Code.CERTIFICATE_EXPIRED)


def nerves_chip(**changed: bytes) -> tuple[ChipSnapshot, bytes]:
    dates = (24 << 19 | 1 << 15 | 1 << 10 | 0 << 5 | 31).to_bytes(3)
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    signer, device = issued_signer(begin, 31, dates), issued_device(begin, 31, dates, "1234")
    slots = {10: compressed(device, dates, "000000b000"), 11: SIGNER.public}
    slots |= {12: compressed(signer, dates, "000010a000")} | {int(name[1:]): data for name, data in changed.items()}
    return stored_chip(slots, {0: DEVICE.public}, otp=SHORT_OTP), signer


def test_self_signed_signer_of_a_nerves_key_is_its_root_when_it_is_named() -> None:
    chip, signer = nerves_chip()
    assert verified(chip, root=signer).verdict is Verdict.GOOD
    assert failed(verified(chip, root=ROOT_CERTIFICATE)) == ("chain", Code.ROOT_NOT_PINNED)


def test_certificate_that_does_not_fit_its_signer_is_named() -> None:
    chip, signer = nerves_chip(_10=nerves_chip()[0].slots[10][:64] + bytes.fromhex("c08c1f000000b000"))
    assert failed(verified(chip, root=signer)) == ("certificate", Code.KEY_MISMATCH)


def test_certificates_are_named_by_slot() -> None:
    named = certificates_by_slot(nerves_chip()[0])
    assert named[10] == "the device certificate or a part of it (NervesKey)"
    assert named[11] == named[12] == "the issuer's certificate or a part of it (NervesKey)"
    assert set(named) == {10, 11, 12}
    unknown = certificates_by_slot(stored_chip({9: nerves_chip()[0].slots[10]}, {}))
    assert unknown == {9: "a certificate of unknown definition (template id 0, chain id 0, signer id 0000)"}
