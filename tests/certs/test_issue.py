from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError, Code
from atcaprov.certs import keys
from atcaprov.certs import rebuild as rebuilding
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.definitions.definition import (
    CertificateDefinition,
    CertLocation,
    DateFormat,
    SerialSource,
    StdElement,
)
from atcaprov.certs.descriptions.description import CertificateDescription, default_description, default_text
from atcaprov.certs.descriptions.template import device_definition
from atcaprov.certs.issue import IssuedCertificate, PendingCertificate, issue
from atcaprov.certs.rebuild import rebuild
from tests.support.certificates import (
    CHIP_SERIAL,
    DEVICE,
    HOUR,
    ROOT,
    SIGNER,
    SIGNER_ID,
    Key,
    chain_definition,
    default_definitions,
    genuine_definition,
    vector,
)

SIGNER_DEFINITION, DEVICE_DEFINITION = default_definitions()


def issue_device(definition: CertificateDefinition = DEVICE_DEFINITION, **changes: Any) -> IssuedCertificate:
    arguments: dict[str, Any] = {
        "subject_public_key": DEVICE.public,
        "ca_public_key": SIGNER.public,
        "signer_id": SIGNER_ID,
        "issue_date": HOUR,
        "chip_serial": CHIP_SERIAL,
        "sign": SIGNER.sign,
    }
    return issue(definition, **{**arguments, **changes})


def test_fields_as_another_library_reads_them() -> None:
    issued = issue_device()
    certificate = x509.load_der_x509_certificate(issued.der)
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert keys.raw_public_key(public_key) == DEVICE.public
    assert certificate.subject.rfc4514_string() == (
        "CN=Example ATECC608A Device 01234038D92CA571EE,O=Example Organization"
    )
    assert certificate.issuer.rfc4514_string() == "CN=Example ATECC608A Signer 0034,O=Example Organization"
    assert certificate.not_valid_before_utc == HOUR
    assert certificate.not_valid_after_utc == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert certificate.serial_number.to_bytes(16, "big") == issued.serial_number
    extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert extension.value.digest == keys.key_id(DEVICE.public)
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert authority.value.key_identifier == keys.key_id(SIGNER.public)
    SIGNER.private.public_key().verify(
        certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256())
    )


def test_the_genuine_certificate_is_issued_again() -> None:
    case = vector("signer-certificate")["signer"]
    pending = PendingCertificate(
        genuine_definition(),
        subject_public_key=bytes.fromhex(case["subject_public_key"]),
        ca_public_key=bytes.fromhex(case["ca_public_key"]),
        signer_id=bytes.fromhex("0034"),
        issue_date=datetime(2015, 12, 17, 23, tzinfo=UTC),
    )
    assert pending.digest.hex() == case["tbs_sha256"]
    assert pending.serial_number.hex() == case["serial_17_bytes"]
    issued = pending.finish(bytes.fromhex(case["compressed"])[:64])
    assert (issued.der.hex(), issued.compressed.hex()) == (case["der"], case["compressed"])


@pytest.mark.parametrize("role", ["signer", "device"])
@pytest.mark.parametrize("chain", vector("certificate-roundtrip")["chains"], ids=lambda chain: chain["name"])
def test_known_chains_are_issued_again(chain: dict[str, Any], role: str) -> None:
    case = chain[role]
    serial = case["device_serial"]
    pending = PendingCertificate(
        chain_definition(case),
        subject_public_key=bytes.fromhex(case["subject_public_key"]),
        ca_public_key=bytes.fromhex(case["ca_public_key"]),
        signer_id=bytes.fromhex(case["signer_id"]),
        issue_date=datetime.fromisoformat(case["issue"]),
        chip_serial=bytes.fromhex(serial) if serial else None,
    )
    assert pending.digest.hex() == case["tbs_sha256"]
    issued = pending.finish(bytes.fromhex(case["compressed"])[:64])
    assert (issued.der.hex(), issued.compressed.hex()) == (case["der"], case["compressed"])


def test_same_key_and_hour_give_the_same_serial_number() -> None:
    assert issue_device().serial_number == issue_device().serial_number
    later = issue_device(issue_date=HOUR.replace(hour=9))
    assert later.serial_number != issue_device().serial_number


def test_wrong_signature_issues_nothing() -> None:
    with pytest.raises(CertificateError, match="does not verify") as caught:
        issue_device(sign=ROOT.sign)
    assert caught.value.code == Code.KEY_MISMATCH


@pytest.mark.parametrize(
    "other",
    [lambda signed: b"", lambda signed: signed + b"\x00", lambda signed: bytes([signed[0] ^ 1]) + signed[1:]],
    ids=["nothing", "one byte more", "one bit flipped"],
)
def test_a_signature_over_other_bytes_issues_nothing(other: Callable[[bytes], bytes]) -> None:
    pending = pending_device()
    signed = other(pending.unsigned)
    with pytest.raises(CertificateError, match="does not verify") as caught:
        pending.finish(SIGNER.sign(sha256(signed).digest()))
    assert caught.value.code == Code.KEY_MISMATCH


def test_what_is_signed_is_what_another_library_finds_signed() -> None:
    pending = pending_device()
    issued = pending.finish(SIGNER.sign(pending.digest))
    assert x509.load_der_x509_certificate(issued.der).tbs_certificate_bytes == pending.unsigned
    assert sha256(pending.unsigned).digest() == pending.digest


def pending_device(definition: CertificateDefinition = DEVICE_DEFINITION) -> PendingCertificate:
    return PendingCertificate(
        definition,
        subject_public_key=DEVICE.public,
        ca_public_key=SIGNER.public,
        signer_id=SIGNER_ID,
        issue_date=HOUR,
        chip_serial=CHIP_SERIAL,
    )


def refuse_to_sign(digest: bytes) -> bytes:
    raise AssertionError("asked to sign")


@pytest.mark.parametrize("byte", [64, 65, 66, 67, 68, 69, 70, 71])
def test_a_compressed_form_that_gives_another_certificate_is_found_before_signing(
    byte: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = CompressedCertificate.pack

    def packed_wrongly(fields: CompressedCertificate) -> bytes:
        data = bytearray(pack(fields))
        data[byte] ^= 0x10
        return bytes(data)

    monkeypatch.setattr(CompressedCertificate, "pack", packed_wrongly)
    with pytest.raises(CertificateError):
        issue_device(sign=refuse_to_sign)


@pytest.mark.parametrize(
    "element", [each for each in StdElement if each is not StdElement.SIGNATURE], ids=lambda each: each.name
)
def test_a_template_that_gives_other_bytes_the_second_time_is_found_before_signing(
    element: StdElement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bit that flipped in memory, or an element in the wrong place of the template."""
    offset = DEVICE_DEFINITION.element(element).offset - (
        element is StdElement.CERT_SN
    )  # the serial itself is put later
    put_elements, wrong = rebuilding.put_elements, iter([True])

    def put_and_flip(certificate: bytearray, *parts: Any) -> None:
        put_elements(certificate, *parts)
        certificate[offset] ^= next(wrong, False)

    monkeypatch.setattr(rebuilding, "put_elements", put_and_flip)
    with pytest.raises(CertificateError, match="would be signed") as caught:
        issue_device(sign=refuse_to_sign)
    assert caught.value.code == Code.CERTIFICATE_MISMATCH
    monkeypatch.undo()
    assert issue_device().der


def test_a_signature_in_the_wrong_place_of_the_template_issues_nothing() -> None:
    definition = replace(DEVICE_DEFINITION)
    pending = pending_device(definition)
    places = list(definition.std_cert_elements)
    places[StdElement.SIGNATURE] = CertLocation(definition.layout.tbs.end - 3, 64)
    object.__setattr__(definition, "std_cert_elements", tuple(places))  # which a definition refuses when it is read
    with pytest.raises(CertificateError, match="what was checked") as caught:
        pending.finish(SIGNER.sign(pending.digest))
    assert caught.value.code == Code.CERTIFICATE_MISMATCH


@pytest.mark.parametrize("length", [0, 63, 65, 72])
def test_a_signature_of_another_length(length: int) -> None:
    with pytest.raises(CertificateError, match="64 bytes"):
        issue_device(sign=lambda digest: bytes(length))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject_public_key": bytes(64)}, "not a point"),
        ({"subject_public_key": bytes(63)}, "64 bytes"),
        ({"ca_public_key": bytes(64)}, "not a point"),
        ({"ca_public_key": bytes(65)}, "64 bytes"),
        ({"signer_id": b"\x01"}, "signer id"),
        ({"chip_serial": None}, "serial number"),
        ({"chip_serial": bytes(8)}, "9 bytes"),
        ({"issue_date": HOUR.replace(minute=1)}, "full hour"),
        ({"issue_date": HOUR.replace(tzinfo=None)}, "UTC"),
        ({"issue_date": HOUR.replace(year=2032)}, "2032"),
        ({"issue_date": HOUR.replace(year=1999)}, "1999"),
    ],
    ids=str,
)
def test_wrong_input_is_refused_before_signing(changes: dict[str, Any], message: str) -> None:
    def sign(digest: bytes) -> bytes:
        raise AssertionError("asked to sign")

    with pytest.raises(CertificateError, match=message):
        issue_device(**changes, sign=sign)


def test_limited_validity_is_not_issued_on_29_february() -> None:
    limited = default_description_with(expire_years=10)
    leap_day = datetime(2028, 2, 29, 12, tzinfo=UTC)
    with pytest.raises(CertificateError, match="29 February"):
        issue_device(limited, issue_date=leap_day)
    issued = issue_device(limited, issue_date=limited.issue_date(leap_day))
    certificate = x509.load_der_x509_certificate(issued.der)
    assert certificate.not_valid_after_utc == datetime(2038, 2, 28, 23, tzinfo=UTC)


def test_format_version_1_is_used_only_where_it_is_allowed_and_needed() -> None:
    allowed = replace(DEVICE_DEFINITION, format_version=1)
    assert issue_device(allowed).compressed[70] & 15 == 0
    late = issue_device(allowed, issue_date=HOUR.replace(year=2049))
    assert late.compressed[70] & 15 == 1
    assert allowed.last_issue_year == 2049
    assert DEVICE_DEFINITION.last_issue_year == 2031


def test_issue_date_outside_the_years_of_the_definition_is_refused() -> None:
    twenty = default_description_with(expire_years=20)
    assert (twenty.first_issue_year, twenty.last_issue_year) == (2000, 2029)
    with pytest.raises(CertificateError, match="from 2000 to 2029, not in 2030") as caught:
        issue_device(twenty, issue_date=HOUR.replace(year=2030))
    assert caught.value.code == Code.DEFINITION_INVALID
    thirty = default_description_with(expire_years=30)
    assert (thirty.first_issue_year, thirty.last_issue_year) == (2020, 2031)
    with pytest.raises(CertificateError, match="Check the clock"):
        issue_device(thirty, issue_date=HOUR.replace(year=2019))


def default_description_with(*, expire_years: int) -> CertificateDefinition:
    text = default_text("device").replace("expire_years = 0", f"expire_years = {expire_years}")
    signer = default_description("signer")
    return device_definition(CertificateDescription.from_toml(text), signer=signer, at=HOUR)


def without(definition: CertificateDefinition, element: StdElement) -> CertificateDefinition:
    elements = list(definition.std_cert_elements)
    elements[element] = CertLocation()
    return replace(definition, std_cert_elements=tuple(elements))


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (replace(DEVICE_DEFINITION, sn_source=SerialSource.STORED), "STORED"),
        (replace(DEVICE_DEFINITION, sn_source=SerialSource.PUB_KEY_HASH_RAW), "not always positive"),
        (replace(DEVICE_DEFINITION, sn_source=SerialSource.DEVICE_SN_HASH_POS), "not always positive"),
        (replace(SIGNER_DEFINITION, sn_source=SerialSource.DEVICE_SN_HASH), "signer certificate"),
        (without(DEVICE_DEFINITION, StdElement.SIGNER_ID), "SIGNER_ID"),
        (without(DEVICE_DEFINITION, StdElement.EXPIRE_DATE), "EXPIRE_DATE"),
    ],
    ids=range(6),
)
def test_definitions_that_are_rebuilt_but_not_issued_from(definition: CertificateDefinition, message: str) -> None:
    with pytest.raises(CertificateError, match=message) as caught:
        issue_device(definition)
    assert caught.value.code == Code.DEFINITION_INVALID


def test_date_formats_without_a_year_to_issue_in() -> None:
    with pytest.raises(CertificateError, match="no issue year fits"):
        issue_device(replace(DEVICE_DEFINITION, expire_years=10))


def test_no_expiry_with_utc_time_is_refused() -> None:
    case = vector("certificate-roundtrip")["chains"][2]["device"]
    definition = replace(chain_definition(case), expire_years=0)
    assert definition.expire_date_format is DateFormat.RFC5280_UTC
    with pytest.raises(CertificateError, match="no expiry"):
        issue_device(definition)


@given(st.integers(1, 1 << 256), st.integers(0, 0xFFFF), st.binary(min_size=9, max_size=9), st.integers(0, 8760 * 5))
def test_issued_certificate_rebuilds(number: int, signer_id: int, chip_serial: bytes, hours: int) -> None:
    key = Key.of(number)
    issued = issue_device(
        subject_public_key=key.public,
        signer_id=signer_id.to_bytes(2, "big"),
        chip_serial=chip_serial,
        issue_date=HOUR + timedelta(hours=hours),
    )
    again = rebuild(
        DEVICE_DEFINITION,
        compressed=issued.compressed,
        public_key=key.public,
        ca_public_key=SIGNER.public,
        chip_serial=chip_serial,
    )
    assert again == issued.der
