"""Make the serial number of a certificate from its source.

Source: MicrochipTech/cryptoauthlib lib/atcacert/atcacert_def.c, described in docs/reference/certificates.md.
"""

from __future__ import annotations

import enum
import hashlib
from types import MappingProxyType
from typing import Final

from atcaprov.chip.memory_map import SERIAL_SIZE
from atcaprov.errors import CertificateError, Code

MAX_SIZE: Final = 32


class SerialSource(enum.IntEnum):
    """The SN source nibble of the compressed certificate (atcacert_cert_sn_src_t)."""

    STORED = 0x0
    STORED_DYNAMIC = 0x7
    DEVICE_SN = 0x8
    SIGNER_ID = 0x9
    PUB_KEY_HASH = 0xA
    DEVICE_SN_HASH = 0xB
    PUB_KEY_HASH_POS = 0xC
    DEVICE_SN_HASH_POS = 0xD
    PUB_KEY_HASH_RAW = 0xE
    DEVICE_SN_HASH_RAW = 0xF


PUBLIC_KEY_HASHES: Final = frozenset(
    {SerialSource.PUB_KEY_HASH, SerialSource.PUB_KEY_HASH_POS, SerialSource.PUB_KEY_HASH_RAW}
)
CHIP_SERIAL_HASHES: Final = frozenset(
    {SerialSource.DEVICE_SN_HASH, SerialSource.DEVICE_SN_HASH_POS, SerialSource.DEVICE_SN_HASH_RAW}
)
HASHES: Final = PUBLIC_KEY_HASHES | CHIP_SERIAL_HASHES
NEEDS_CHIP_SERIAL: Final = CHIP_SERIAL_HASHES | {SerialSource.DEVICE_SN}
FIXED_SIZES: Final = MappingProxyType({SerialSource.DEVICE_SN: 1 + SERIAL_SIZE, SerialSource.SIGNER_ID: 3})
"""Sources with a fixed length."""

# source -> (whether the public key is hashed, bits kept and bits set of the first byte)
_HASHED: Final = MappingProxyType(
    {
        SerialSource.PUB_KEY_HASH: (True, 0x7F, 0x40),
        SerialSource.DEVICE_SN_HASH: (False, 0x7F, 0x40),
        SerialSource.PUB_KEY_HASH_POS: (True, 0x7F, 0x00),
        SerialSource.DEVICE_SN_HASH_POS: (False, 0x7F, 0x00),
        SerialSource.PUB_KEY_HASH_RAW: (True, 0xFF, 0x00),
        SerialSource.DEVICE_SN_HASH_RAW: (False, 0xFF, 0x00),
    }
)


def generate(
    source: SerialSource,
    size: int,
    *,
    public_key: bytes,
    chip_serial: bytes | None,
    signer_id: bytes,
    dates: bytes,
) -> bytes:
    """Return the `size` bytes of the serial number.

    `public_key` is X||Y, `chip_serial` the 9 bytes of the chip, `signer_id` 2 bytes, `dates` bytes 64-66 of the
    compressed certificate, followed in format version 1 by the high nibble of byte 71. Raises CertificateError when
    the chip serial is needed and missing, or for a source that is stored and not generated.
    """
    hashed = _HASHED.get(source)
    if hashed is not None:  # first, and with one look at the table: a server makes thousands of them
        of_public_key, keep, add = hashed
        subject = public_key if of_public_key else checked_chip_serial(chip_serial)
        digest = hashlib.sha256(subject + dates).digest()
        return bytes((digest[0] & keep | add,)) + digest[1:size]
    if source is SerialSource.DEVICE_SN:
        return b"\x40" + checked_chip_serial(chip_serial)
    if source is SerialSource.SIGNER_ID:
        return b"\x40" + signer_id
    raise CertificateError(
        f"A serial number of source {source:X} ({source.name}) is stored on the chip and cannot be generated.",
        code=Code.DEFINITION_INVALID,
    )


def checked_chip_serial(chip_serial: bytes | None) -> bytes:
    """Return the chip's 9-byte serial number; raises CertificateError when it is missing or of another length."""
    if chip_serial is None:
        raise CertificateError("This certificate contains the chip's serial number, and none was given.")
    if len(chip_serial) != SERIAL_SIZE:
        raise CertificateError(f"A chip's serial number has 9 bytes, not {len(chip_serial)}.")
    return chip_serial
