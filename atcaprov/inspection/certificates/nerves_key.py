"""NervesKey: a self-signed signer and a device certificate, compressed, twice if the auxiliary ones are written.

Source: nerves-hub/nerves_key lib/nerves_key.ex, data.ex (slots), otp.ex (OTP: magic, flags, board, serial number);
nerves-hub/atecc508a lib/atecc508a/certificate.ex, certificate/nerves_key_template.ex (names, extensions, template ids).
The signer's public key is stored as 64 bytes without padding. Dates are of the kind that RFC 5280 demands. The key ids
of the published certificates are the SHA-1 of the whole SubjectPublicKeyInfo; the usual ones are tried, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.dates import DateFormat, expire_date
from atcaprov.certs.keys import key_id
from atcaprov.certs.serial_number import SerialSource
from atcaprov.certs.x509_layout import P256_KEY_PREFIX
from atcaprov.errors import CertificateError
from atcaprov.inspection.certificates import x509_writer as x509
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain, StorageLayout, is_signed_by
from atcaprov.inspection.certificates.slot_parts import compressed_form, hashed_serial, plain_key
from atcaprov.inspection.snapshot import ChipSnapshot

_KEY_SLOT: Final = 0
_MAGIC: Final = b"Nrvs"
_LONG_SERIAL: Final = 1
_SERIAL_START, _SHORT_SERIAL_END = 16, 32
_SIGNER_NAME: Final = x509.name((("CN", "Signer"),))
_SERVER_AUTH, _CLIENT_AUTH = "2b06010505070301", "2b06010505070302"
_SIGNER_USAGE, _DEVICE_USAGE = "0186", "05a0"  # digitalSignature with keyCertSign and cRLSign, with keyEncipherment


class _Places(NamedTuple):
    layout: StorageLayout
    device: int
    signer_key: int
    signer: int

    @property
    def of_signer(self) -> tuple[int, ...]:
        """Slots of the signer's certificate and key."""
        return (self.signer, self.signer_key)


_PAIRS: Final = (_Places(StorageLayout.NERVES_KEY, 10, 11, 12), _Places(StorageLayout.NERVES_KEY_AUXILIARY, 9, 14, 15))


def find(chip: ChipSnapshot) -> Iterator[FoundChain]:
    """Yield the primary chain of a NervesKey, and the auxiliary one if it is written."""
    serial, key = _product_serial(chip.otp or b""), chip.public_keys.get(_KEY_SLOT)
    if serial is None or key is None:
        return
    for places in _PAIRS:
        with suppress(CertificateError):  # the compressed form can hold dates that no certificate can have
            chain = _chain(chip, places, serial, key)
            if chain is not None:
                yield chain


def _chain(chip: ChipSnapshot, places: _Places, serial: str, key: bytes) -> FoundChain | None:
    signer_key = plain_key(chip, places.signer_key)
    device, signer = compressed_form(chip, places.device), compressed_form(chip, places.signer)
    if signer_key is None or device is None or signer is None:
        return None
    identifiers = (_whole_key_id(signer_key), key_id(signer_key))
    devices = [_device_certificate(device, serial, key, each, chip.serial_number) for each in identifiers]
    certificate, is_signed = _signed_one(devices, signer_key)
    issuer, _ = _signed_one([_signer_certificate(signer, signer_key, each) for each in identifiers], signer_key)
    found = (FoundCertificate(certificate, (places.device,)), FoundCertificate(issuer, places.of_signer))
    return FoundChain(places.layout, found, _KEY_SLOT, is_signed=is_signed)


def _signed_one(candidates: list[bytes], key: bytes) -> tuple[bytes, bool]:
    """Return the certificate that is signed by `key`, or the first if none is."""
    for candidate in candidates:
        if is_signed_by(candidate, key):
            return candidate, True
    return candidates[0], False


def _whole_key_id(key: bytes) -> bytes:
    return hashlib.sha1(P256_KEY_PREFIX + key, usedforsecurity=False).digest()


def _product_serial(otp: bytes) -> str | None:
    """Return the serial number of the product, which is the common name; None if OTP is not that of a NervesKey."""
    if not otp.startswith(_MAGIC):
        return None
    flags = int.from_bytes(otp[4:6])
    end = len(otp) if flags == _LONG_SERIAL else _SHORT_SERIAL_END
    try:
        return otp[_SERIAL_START:end].rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return None


def _device_certificate(
    form: tuple[bytes, CompressedCertificate], serial: str, key: bytes, signer_key_id: bytes, chip_serial: bytes
) -> bytes:
    extensions = (
        x509.basic_constraints(critical=False),
        x509.key_usage(_DEVICE_USAGE),
        x509.extended_key_usage(_CLIENT_AUTH),
        x509.authority_key_id(signer_key_id),
    )
    number = hashed_serial(SerialSource.DEVICE_SN_HASH, form[0], public_key=key, chip_serial=chip_serial)
    return _certificate(form[1], number, x509.name((("CN", serial),)), key, extensions)


def _signer_certificate(form: tuple[bytes, CompressedCertificate], key: bytes, identifier: bytes) -> bytes:
    extensions = (
        x509.authority_constraints(),
        x509.key_usage(_SIGNER_USAGE),
        x509.extended_key_usage(_SERVER_AUTH, _CLIENT_AUTH),
        x509.subject_key_id(identifier),
        x509.authority_key_id(identifier),
    )
    number = hashed_serial(SerialSource.PUB_KEY_HASH, form[0], public_key=key)
    return _certificate(form[1], number, _SIGNER_NAME, key, extensions)


def _certificate(
    form: CompressedCertificate, number: bytes, subject: bytes, key: bytes, extensions: tuple[bytes, ...]
) -> bytes:
    end = expire_date(form.issue_date, form.expire_years, DateFormat.RFC5280_GEN)
    fields = x509.CertificateFields(
        serial_number=number,
        issuer=_SIGNER_NAME,
        not_before=x509.date(form.issue_date),
        not_after=x509.date(end),
        subject=subject,
        public_key=key,
        extensions=extensions,
    )
    return fields.signed(form.signature)
