"""Chains as esp-cryptoauth-utility and the zero touch kit write them: published certificates as known answers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from atcaprov.inspection.certificates import cert2certdef
from atcaprov.inspection.certificates.found import FoundChain, StorageLayout
from atcaprov.inspection.snapshot import ChipSnapshot
from tests.support.certificates import CHIP_SERIAL, DEVICE, ROOT, SIGNER, vector
from tests.support.stored_chip import stored_chip

CASE: Any = vector("stored-certificates")["cases"]["esp-cryptoauth-utility"]
PUBLISHED_DEVICE, PUBLISHED_SIGNER = bytes.fromhex(CASE["device"]), bytes.fromhex(CASE["signer"])
PUBLISHED_SERIAL = bytes.fromhex("01232AD933757006EE")
"""Common name of the published device certificate."""
BEGIN = datetime(2023, 5, 6, 7, tzinfo=UTC)


def key_of(certificate: bytes) -> bytes:
    found = x509.load_der_x509_certificate(certificate).public_key()
    return found.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def compressed(certificate: bytes, begin: datetime, ids: str) -> bytes:
    """Return 72 bytes with 0 years; `ids` are bytes 67 to 71."""
    signature = x509.load_der_x509_certificate(certificate).signature
    r, s = utils.decode_dss_signature(signature)
    dates = (begin.year - 2000) << 19 | begin.month << 15 | begin.day << 10 | begin.hour << 5
    return r.to_bytes(32) + s.to_bytes(32) + dates.to_bytes(3) + bytes.fromhex(ids)


def padded(key: bytes) -> bytes:
    return bytes(4) + key[:32] + bytes(4) + key[32:]


def published_chip(**changed: bytes) -> ChipSnapshot:
    signer = x509.load_der_x509_certificate(PUBLISHED_SIGNER)
    slots = {
        10: compressed(PUBLISHED_DEVICE, datetime(2020, 4, 29, 5, tzinfo=UTC), "ffff20a000"),
        11: padded(key_of(PUBLISHED_SIGNER)),
        12: compressed(PUBLISHED_SIGNER, datetime(2020, 2, 17, 20, tzinfo=UTC), "ffff100000"),
        14: signer.serial_number.to_bytes(20) + bytes(2) + b"200217200001Z" + bytes(2) + b"210216200001Z",
    }
    slots |= {int(name[1:]): content for name, content in changed.items()}
    return stored_chip(slots, {0: key_of(PUBLISHED_DEVICE)}, serial_number=PUBLISHED_SERIAL)


def found(chip: ChipSnapshot, *issuers: bytes) -> FoundChain | None:
    return next(cert2certdef.find(chip, issuers), None)


def test_published_sample_chain_is_rebuilt_byte_for_byte() -> None:
    chain = found(published_chip())
    assert chain is not None
    assert chain.layout is StorageLayout.ESP_UTILITY
    assert [certificate.der for certificate in chain.certificates] == [PUBLISHED_DEVICE, PUBLISHED_SIGNER]
    assert [certificate.slots for certificate in chain.certificates] == [(10,), (12, 11, 14)]


@pytest.mark.parametrize("content", [b"", b"\xff" * 72, b"x" * 50])
def test_signer_certificate_without_its_stored_dates_is_left_out(content: bytes) -> None:
    chain = found(published_chip(_14=content))
    assert chain is not None
    assert [certificate.der for certificate in chain.certificates] == [PUBLISHED_DEVICE]


def test_published_device_of_the_zero_touch_kit_is_rebuilt_byte_for_byte() -> None:
    """The key that verifies it is recovered from its signature: the kit publishes no certificate of that signer."""
    case: Any = vector("stored-certificates")["cases"]["zero-touch"]
    published, signer_key = bytes.fromhex(case["device"]), bytes.fromhex(case["signer_public_key"])
    begin = datetime(2017, 7, 10, 20, tzinfo=UTC)
    slots = {10: compressed(published, begin, "ffff20a000"), 11: padded(signer_key)}
    chain = found(stored_chip(slots, {0: key_of(published)}))
    assert chain is not None
    assert (chain.layout, chain.device.der) == (StorageLayout.ZERO_TOUCH, published)


def company_signer() -> bytes:
    name = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"), x509.NameAttribute(NameOID.COMMON_NAME, "CA FFFF")]
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Acme Root")])
    builder = x509.CertificateBuilder(
        root, x509.Name(name), SIGNER.private.public_key(), 77, BEGIN, BEGIN.replace(year=2050)
    )
    return builder.sign(ROOT.private, hashes.SHA256()).public_bytes(Encoding.DER)


def device_certificate(
    issuer: bytes, common_name: str, years: int, *extensions: tuple[x509.ExtensionType, bool]
) -> bytes:
    """Return a certificate as helper_scripts/cert_sign.py and create_device.py issue it."""
    issuer_name = x509.load_der_x509_certificate(issuer).subject
    organization = issuer_name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0]
    dates = (23 << 19 | 5 << 15 | 6 << 10 | 7 << 5).to_bytes(3)
    serial = bytearray(hashlib.sha256(DEVICE.public + dates).digest()[:16])
    serial[0] = serial[0] & 0x7F | 0x40
    end = BEGIN.replace(year=BEGIN.year + years) if years else datetime(3000, 12, 31, 23, 59, 59, tzinfo=UTC)
    subject = x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    key = DEVICE.private.public_key()
    builder = x509.CertificateBuilder(issuer_name, subject, key, int.from_bytes(serial), BEGIN, end)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(SIGNER.private, hashes.SHA256()).public_bytes(Encoding.DER)


def chip_with(certificate: bytes) -> ChipSnapshot:
    slots = {10: compressed(certificate, BEGIN, "ffff20a000"), 11: padded(SIGNER.public)}
    return stored_chip(slots, {0: DEVICE.public})


AUTHORITY = (x509.AuthorityKeyIdentifier.from_issuer_public_key(SIGNER.private.public_key()), False)


@pytest.mark.slow
@pytest.mark.parametrize("years", [1, 10, 27, 40, 100])
def test_utility_with_a_companys_signer_needs_its_certificate(years: int) -> None:
    usage = x509.KeyUsage(True, True, True, False, False, False, False, False, False)
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    signer = company_signer()
    extensions = ((usage, True), (constraints, True), AUTHORITY)
    certificate = device_certificate(signer, CHIP_SERIAL.hex().upper(), years, *extensions)
    chip = chip_with(certificate)
    assert found(chip) is None
    chain = found(chip, signer)
    assert chain is not None
    assert chain.layout is StorageLayout.ESP_UTILITY
    assert [each.der for each in chain.certificates] == [certificate, signer]


def test_issuers_of_other_kinds_are_passed_over() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, BEGIN, BEGIN.replace(year=2050))
    other = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert found(published_chip(), other) is not None


def test_zero_touch_kit_with_the_names_of_its_example() -> None:
    signer = company_signer()
    key_id = x509.SubjectKeyIdentifier.from_public_key(DEVICE.private.public_key())
    certificate = device_certificate(signer, "Example Device", 0, (key_id, False), AUTHORITY)
    chain = found(chip_with(certificate), signer)
    assert chain is not None
    assert (chain.layout, chain.device.der) == (StorageLayout.ZERO_TOUCH, certificate)
