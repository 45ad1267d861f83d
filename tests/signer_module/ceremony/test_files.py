"""Bundles, signed or not: read whole or refused by one error; every change is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import AtcaProvError, CertificateError, Code, UsageError
from signer_module.ceremony.bundle import Bundle, digest_words
from signer_module.ceremony.certification_request import CertificationRequest, request_from_pem
from signer_module.ceremony.record import CeremonyRecord, require_people
from signer_module.ceremony.signed_bundle import SignedBundle
from signer_module.ceremony.signing import check_bundle, sign_bundle
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import RootFolder
from tests.signer_module.ceremony.conftest import DESCRIPTIONS, NOW, bundle_of, request_of

BUNDLE = bundle_of(request_of("C48B"), request_of("0034"))
WITNESSES = ("A. Berg", "C. Dahl")


def record_of(root: RootFolder, bundle: Bundle) -> CeremonyRecord:
    return CeremonyRecord(NOW, "Room 12", "second line", WITNESSES, bundle.digest, "00" * 20)


def sign(root: RootFolder, bundle: Bundle = BUNDLE) -> SignedBundle:
    definition = check_bundle(root, bundle, NOW, "")
    return sign_bundle(root, root.unlock(None), bundle, definition, record_of(root, bundle))


def test_bundle_reads_as_it_was_written_and_has_one_digest() -> None:
    text = BUNDLE.encode()
    assert Bundle.decode(text) == BUNDLE
    assert Bundle.decode(text).encode() == text
    assert BUNDLE.digest == hashlib.sha256(text.encode()).digest()
    assert digest_words(bytes(range(32))).split()[:2] == ["0001", "0203"]


def test_signed_bundle_reads_as_it_was_written(root: RootFolder) -> None:
    signed = sign(root)
    assert SignedBundle.decode(signed.encode()) == signed
    assert signed.record.witnesses == WITNESSES
    signed.require_root(root.public_key)
    with pytest.raises(CertificateError) as raised:
        signed.require_root(SoftwareKey.generate().public_key)
    assert raised.value.code == Code.ROOT_NOT_PINNED


@pytest.mark.slow
def test_no_change_of_a_signed_bundle_is_overlooked(root: RootFolder) -> None:
    text = sign(root, bundle_of(request_of("C48B"))).encode()
    for place in range(0, len(text), 7):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with pytest.raises(AtcaProvError):
            SignedBundle.decode(changed)
        with pytest.raises(AtcaProvError):
            SignedBundle.decode(text[:place])


@pytest.mark.slow
def test_no_change_of_a_bundle_keeps_its_digest() -> None:
    text = bundle_of(request_of("C48B")).encode()
    for place in range(0, len(text), 3):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        try:
            found = Bundle.decode(changed)
        except AtcaProvError:
            continue
        assert found.encode() == changed


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), lambda part: st.lists(part)).map(json.dumps))
def test_garbage_ends_in_one_error(text: str) -> None:
    for read in (Bundle.decode, SignedBundle.decode):
        with pytest.raises(UsageError) as raised:
            read(text)
        assert raised.value.code == Code.FILE_INVALID


@pytest.mark.parametrize("key", ["made", "requests", "signer_description", "device_description", "more"])
@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [[]], ["x"], [{}], "2026-11-21 10:15"])
def test_values_of_other_kinds_are_refused(key: str, value: object) -> None:
    document = BUNDLE.document()
    if document.get(key) != value:
        with pytest.raises(AtcaProvError):
            Bundle.decode(json.dumps({**document, key: value}, indent=2) + "\n")


def test_parts_of_two_ceremonies_do_not_fit_together(root: RootFolder) -> None:
    first, second = sign(root), sign(root, bundle_of(request_of("0001"), request_of("0002")))
    mixed = (
        replace(first, certificates=second.certificates),
        replace(first, certificates=first.certificates[::-1]),
        replace(first, certificates=first.certificates[:1]),
        replace(first, bundle=second.bundle),
        replace(first, record=second.record),
        replace(first, signature=second.signature),
        replace(first, record=replace(first.record, witnesses=("Somebody", "Else"))),
        replace(first, record=second.record, signature=second.signature),
    )
    for each in mixed:
        with pytest.raises(AtcaProvError):
            SignedBundle.decode(each.encode())


def test_record_is_never_what_a_certificate_is(root: RootFolder) -> None:
    signed = sign(root)
    certificate = x509.load_der_x509_certificate(signed.certificates[0])
    assert certificate.tbs_certificate_bytes[:1] == b"\x30"
    message = b"atcaprov key ceremony record 1\n" + (json.dumps(signed.record.document(), indent=2) + "\n").encode()
    assert hashlib.sha256(message).digest() == signed.record.digest


def _csr(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, subject: x509.Name) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _broken_signature() -> bytes:
    der = request_of("C48B").der
    return der[:-1] + bytes([der[-1] ^ 1])


SUBJECT = DESCRIPTIONS.signer.subject_name(signer_id="C48B")
BAD_REQUESTS: dict[str, Callable[[], bytes]] = {
    "garbage": lambda: b"garbage",
    "empty": lambda: b"",
    "truncated": lambda: request_of("C48B").der[:-9],
    "signature": _broken_signature,
    "curve": lambda: _csr(ec.generate_private_key(ec.SECP384R1()), SUBJECT),
    "RSA": lambda: _csr(rsa.generate_private_key(65537, 2048), SUBJECT),
    "subject": lambda: _csr(ec.generate_private_key(ec.SECP256R1()), x509.Name([])),
    "no id": lambda: _csr(ec.generate_private_key(ec.SECP256R1()), DESCRIPTIONS.signer.subject_name(signer_id="c48b")),
}


@pytest.mark.parametrize("kind", BAD_REQUESTS)
def test_request_that_proves_nothing_is_refused(kind: str) -> None:
    with pytest.raises(CertificateError) as raised:
        CertificationRequest.of(BAD_REQUESTS[kind](), DESCRIPTIONS.signer)
    assert raised.value.code == Code.REQUEST_INVALID


def test_request_of_another_description_is_refused() -> None:
    other = replace(
        DESCRIPTIONS.signer, subject=replace(DESCRIPTIONS.signer.subject, attributes=(("organization", "Other"),))
    )
    with pytest.raises(CertificateError, match="subject"):
        CertificationRequest.of(request_of("C48B").der, other)
    with pytest.raises(CertificateError, match="PEM"):
        request_from_pem("-----BEGIN CERTIFICATE-----", DESCRIPTIONS.signer)


def test_bundle_asks_once_for_an_id_and_a_key() -> None:
    key = SoftwareKey.generate()
    for requests in (
        (request_of("C48B"), request_of("C48B")),
        (request_of("C48B", key), request_of("0034", key)),
        (),
        tuple(request_of(f"{number:04X}") for number in range(1, 66)),
    ):
        with pytest.raises(UsageError) as raised:
            bundle_of(*requests)
        assert raised.value.code == Code.FILE_INVALID


def test_two_people_are_there_unless_one_is_accepted() -> None:
    require_people(("A. Berg", "C. Dahl"), alone=False)
    require_people(("A. Berg",), alone=True)
    for names, alone in (((), True), (("A. Berg",), False), (("A. Berg", "A. Berg"), False), (("x",) * 17, True)):
        with pytest.raises(UsageError, match="two people"):
            require_people(names, alone=alone)


@pytest.mark.parametrize("place", ["", "two\nlines", "x" * 201, "\x1b[2J"])
def test_record_holds_printable_text(place: str, root: RootFolder) -> None:
    with pytest.raises(UsageError):
        CeremonyRecord.of(replace(record_of(root, BUNDLE), place=place).document())
