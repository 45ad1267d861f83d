"""Certificates of a NervesKey: published ones as known answers, others issued here by the published rules."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from atcaprov.inspection.certificates import nerves_key
from atcaprov.inspection.certificates.found import StorageLayout
from tests.support.certificates import CHIP_SERIAL, DEVICE, SIGNER, vector
from tests.support.stored_chip import stored_chip

CASE: Any = vector("stored-certificates")["cases"]["nerves-key"]
SLOTS = {int(slot): bytes.fromhex(content) for slot, content in CASE["slots"].items()}
SHORT_OTP = b"Nrvs\0\0" + b"NervesKey\0" + b"1234".ljust(16, b"\0") + bytes(32)
LONG_SERIAL = "AERUIEZDEXDUQ7J2ABCDEFGHI"
LONG_OTP = b"Nrvs\0\1" + b"NervesKey\0" + LONG_SERIAL.encode().ljust(48, b"\0")


def test_published_signer_is_rebuilt_byte_for_byte() -> None:
    """nerves-hub/nerves_key test/nerves_key/data_test.exs."""
    (chain,) = nerves_key.find(stored_chip(SLOTS, {0: DEVICE.public}, otp=SHORT_OTP))
    assert chain.layout is StorageLayout.NERVES_KEY
    assert chain.certificates[1].der == bytes.fromhex(CASE["signer"])


def test_device_certificate_has_the_form_of_the_published_one() -> None:
    """Its dates lie before 2000, which the compressed form cannot hold; so names and extensions are compared."""
    published = x509.load_der_x509_certificate(bytes.fromhex(CASE["device"]))
    (chain,) = nerves_key.find(stored_chip(SLOTS, {0: DEVICE.public}, otp=SHORT_OTP))
    found = x509.load_der_x509_certificate(chain.device.der)
    assert chain.is_signed is False
    assert found.subject.public_bytes() == published.subject.public_bytes()
    assert found.issuer.public_bytes() == published.issuer.public_bytes()
    assert chain.device.der.endswith(extensions_and_signature(published))


def extensions_and_signature(certificate: x509.Certificate) -> bytes:
    der = certificate.public_bytes(Encoding.DER)
    return der[der.rindex(b"\xa3\x53\x30\x51") :]


@pytest.mark.parametrize(("year", "years"), [(2018, 31), (2024, 31), (2024, 1)])
@pytest.mark.parametrize(
    ("slots", "layout"), [((10, 11, 12), StorageLayout.NERVES_KEY), ((9, 14, 15), StorageLayout.NERVES_KEY_AUXILIARY)]
)
@pytest.mark.parametrize(("otp", "serial"), [(SHORT_OTP, "1234"), (LONG_OTP, LONG_SERIAL)])
def test_issued_chain_is_rebuilt(
    year: int, years: int, slots: tuple[int, int, int], layout: StorageLayout, otp: bytes, serial: str
) -> None:
    begin = datetime(year, 12, 4, 20, tzinfo=UTC)
    dates = ((year - 2000) << 19 | 12 << 15 | 4 << 10 | 20 << 5 | years).to_bytes(3)
    signer = issued_signer(begin, years, dates)
    device = issued_device(begin, years, dates, serial)
    contents = {
        slots[0]: compressed(device, dates, "000000b000"),
        slots[1]: SIGNER.public,
        slots[2]: compressed(signer, dates, "000010a000"),
    }
    (chain,) = nerves_key.find(stored_chip(contents, {0: DEVICE.public}, otp=otp))
    assert (chain.layout, chain.is_signed, chain.key_slot) == (layout, True, 0)
    assert [certificate.der for certificate in chain.certificates] == [device, signer]


def issued_signer(begin: datetime, years: int, dates: bytes) -> bytes:
    name, key = common_name("Signer"), SIGNER.private.public_key()
    builder = x509.CertificateBuilder(
        name, name, key, hashed(SIGNER.public, dates), begin, begin.replace(year=begin.year + years)
    )
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage(certificates=True), critical=True).add_extension(usages, critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key), critical=False)
    return builder.sign(SIGNER.private, hashes.SHA256()).public_bytes(Encoding.DER)


def issued_device(begin: datetime, years: int, dates: bytes, serial: str) -> bytes:
    key, issuer = DEVICE.private.public_key(), SIGNER.private.public_key()
    end = begin.replace(year=begin.year + years)
    number = hashed(CHIP_SERIAL, dates)
    builder = x509.CertificateBuilder(common_name("Signer"), common_name(serial), key, number, begin, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
    builder = builder.add_extension(usage(certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    return builder.sign(SIGNER.private, hashes.SHA256()).public_bytes(Encoding.DER)


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(*, certificates: bool) -> x509.KeyUsage:
    device = not certificates
    return x509.KeyUsage(True, False, device, False, False, certificates, certificates, False, False)


def hashed(what: bytes, dates: bytes) -> int:
    digest = bytearray(hashlib.sha256(what + dates).digest()[:16])
    digest[0] = digest[0] & 0x3F | 0x40
    return int.from_bytes(digest)


def compressed(certificate: bytes, dates: bytes, ids: str) -> bytes:
    r, s = utils.decode_dss_signature(x509.load_der_x509_certificate(certificate).signature)
    return r.to_bytes(32) + s.to_bytes(32) + dates + bytes.fromhex(ids)


def test_without_the_magic_in_otp_it_is_no_nerves_key() -> None:
    assert not list(nerves_key.find(stored_chip(SLOTS, {0: DEVICE.public}, otp=b"\xff" * 64)))


def test_without_a_key_there_is_no_chain() -> None:
    assert not list(nerves_key.find(stored_chip(SLOTS, {}, otp=SHORT_OTP)))
