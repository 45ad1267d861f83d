"""Parts of certificates as slots hold them: compressed forms and public keys; other bytes are None."""

from __future__ import annotations

from atcaprov.certs.compressed_form import COMPRESSED_SIZE, CompressedCertificate, hashed_dates
from atcaprov.certs.keys import PADDED_KEY_SIZE, PUBLIC_KEY_SIZE, load_public_key, unpadded_public_key
from atcaprov.certs.serial_number import SerialSource, generate
from atcaprov.errors import CertificateError
from atcaprov.inspection.snapshot import ChipSnapshot

_SERIAL_SIZE = 16


def compressed_form(chip: ChipSnapshot, slot: int, offset: int = 0) -> tuple[bytes, CompressedCertificate] | None:
    """Return the 72 bytes of a compressed certificate, and their fields."""
    data = chip.stored(slot, offset, COMPRESSED_SIZE)
    try:
        return None if data is None else (data, CompressedCertificate.parse(data))
    except CertificateError:
        return None


def padded_key(chip: ChipSnapshot, slot: int, offset: int = 0) -> bytes | None:
    """Return X||Y of a public key in 72 bytes, each half behind four zeros."""
    data = chip.stored(slot, offset, PADDED_KEY_SIZE)
    try:
        return None if data is None else _point(unpadded_public_key(data))
    except CertificateError:
        return None


def plain_key(chip: ChipSnapshot, slot: int) -> bytes | None:
    """Return X||Y of a public key in 64 bytes."""
    data = chip.stored(slot, 0, PUBLIC_KEY_SIZE)
    return None if data is None else _point(data)


def _point(key: bytes) -> bytes | None:
    try:
        load_public_key(key)
    except CertificateError:
        return None
    return key


def hashed_serial(
    source: SerialSource, compressed: bytes, *, public_key: bytes, chip_serial: bytes | None = None
) -> bytes:
    """Return the 16 bytes of a serial number that is a hash."""
    signer_id = CompressedCertificate.parse(compressed).signer_id
    dates = hashed_dates(compressed)
    return generate(
        source, _SERIAL_SIZE, public_key=public_key, chip_serial=chip_serial, signer_id=signer_id, dates=dates
    )
