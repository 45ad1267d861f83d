"""Certificates that Arduino's libraries store: issued here by the published rules, in the published places."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from atcaprov.inspection.certificates import arduino
from atcaprov.inspection.certificates.found import StorageLayout
from tests.support.certificates import CHIP_SERIAL, DEVICE, SIGNER
from tests.support.openssl import verify_with_openssl
from tests.support.stored_chip import stored_chip

DEVICE_ID = "f3bdd6b5-0a8a-4a3c-9d2b-6a5f1b0c9e77"
ISSUER = ((NameOID.COUNTRY_NAME, "US"), (NameOID.ORGANIZATION_NAME, "Arduino LLC US"),
          (NameOID.ORGANIZATIONAL_UNIT_NAME, "IT"), (NameOID.COMMON_NAME, "Arduino"))  # fmt: skip


def printable(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, text, _ASN1Type.PrintableString) for oid, text in attributes])


def signature_of(certificate: x509.Certificate) -> bytes:
    r, s = utils.decode_dss_signature(certificate.signature)
    return r.to_bytes(32) + s.to_bytes(32)


@pytest.mark.parametrize("serial", [b"\x31" * 16, b"\x00\x00\x91" + b"\x01" * 13, b"\x80" + b"\x02" * 15])
@pytest.mark.parametrize(("year", "years"), [(2019, 31), (2018, 31), (2024, 1)])
def test_certificate_of_the_arduino_cloud_is_rebuilt(serial: bytes, year: int, years: int) -> None:
    begin = datetime(year, 1, 29, 14, tzinfo=UTC)
    subject, key = printable((NameOID.COMMON_NAME, DEVICE_ID)), DEVICE.private.public_key()
    builder = x509.CertificateBuilder(
        printable(*ISSUER), subject, key, int.from_bytes(serial), begin, begin.replace(year=year + years)
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(SIGNER.private.public_key())
    issued = builder.add_extension(authority, critical=False).sign(SIGNER.private, hashes.SHA256())
    assert authority.key_identifier is not None
    slots = {
        10: signature_of(issued) + ((year - 2000) << 19 | 1 << 15 | 29 << 10 | 14 << 5 | years).to_bytes(3),
        11: serial + authority.key_identifier,
        12: DEVICE_ID.encode(),
    }
    (chain,) = arduino.find(stored_chip(slots, {0: DEVICE.public}))
    assert (chain.layout, chain.is_signed, chain.key_slot) == (StorageLayout.ARDUINO_CLOUD, None, 0)
    assert chain.device.der == issued.public_bytes(Encoding.DER)
    assert chain.device.slots == (10, 11, 12)


def self_signed(begin: datetime, years: int) -> tuple[bytes, bytes]:
    """Return certificate and signature; the library ends the signed part with an empty sequence of extensions."""
    name, key = printable((NameOID.COMMON_NAME, CHIP_SERIAL.hex().upper())), DEVICE.private.public_key()
    builder = x509.CertificateBuilder(name, name, key, 1, begin, begin.replace(year=begin.year + years))
    unsigned = builder.sign(DEVICE.private, hashes.SHA256())
    # Version 3 without extensions: `cryptography` writes version 3, too, and leaves the extensions out.
    content = unsigned.tbs_certificate_bytes[4 if unsigned.tbs_certificate_bytes[1] == 0x82 else 3 :]
    content += bytes.fromhex("a3023000")
    whole = b"\x30" + length(content) + content
    signature = DEVICE.sign(hashlib.sha256(whole).digest())
    encoded = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    bits = bytes((3, len(encoded) + 1, 0)) + encoded
    outer = whole + bytes.fromhex("300a06082a8648ce3d040302") + bits
    return b"\x30" + length(outer) + outer, signature


def length(content: bytes) -> bytes:
    size = len(content)
    return bytes((size,)) if size < 128 else bytes((0x81, size)) if size < 256 else b"\x82" + size.to_bytes(2)


@pytest.mark.parametrize(("storage", "key_slot"), [(8, 0), (15, 0), (9, 4)])
@pytest.mark.parametrize(("year", "years"), [(2019, 31), (2018, 31), (2031, 1)])
def test_self_signed_certificate_is_rebuilt(storage: int, key_slot: int, year: int, years: int) -> None:
    """The dates are bit fields of uint8_t, which gcc puts into a byte each: 2019-12-24 17 h as 13 0C 18 11."""
    begin = datetime(year, 12, 24, 17, tzinfo=UTC)
    certificate, signature = self_signed(begin, years)
    slots = {storage: signature + bytes((year - 2000, 12, 24, 17, years))}
    keys = {0: SIGNER.public, 3: SIGNER.public} | {key_slot: DEVICE.public}
    (chain,) = arduino.find(stored_chip(slots, keys))
    assert (chain.layout, chain.is_signed, chain.key_slot) == (StorageLayout.ARDUINO_SELF_SIGNED, True, key_slot)
    assert chain.device.der == certificate
    assert chain.device.slots == (storage,)


def test_self_signed_certificate_of_another_key_is_not_found() -> None:
    _, signature = self_signed(datetime(2019, 1, 1, tzinfo=UTC), 31)
    slots = {8: signature + bytes((19, 1, 1, 0, 31))}
    assert not list(arduino.find(stored_chip(slots, {0: SIGNER.public})))


def test_openssl_reads_the_self_signed_certificate(tmp_path: Path) -> None:
    _, signature = self_signed(datetime(2019, 1, 1, tzinfo=UTC), 31)
    (chain,) = arduino.find(stored_chip({8: signature + bytes((19, 1, 1, 0, 31))}, {0: DEVICE.public}))
    verify_with_openssl(tmp_path, chain.device.der, chain.device.der, strict=False)


@pytest.mark.parametrize("content", [b"", b"\xff" * 72, b"\x01" * 72, bytes(64) + b"\x13\x0d\x18\x11\x1f"])
def test_other_contents_are_no_certificates(content: bytes) -> None:
    slots = dict.fromkeys(range(8, 16), content)
    assert not list(arduino.find(stored_chip(slots, {0: DEVICE.public})))
