"""The compressed form of a certificate: 72 bytes on the chip.

| byte | content |
|---|---|
| 0-31, 32-63 | R and S of the signature, big-endian |
| 64-66 | issue date and expire years |
| 67-68 | signer id |
| 69 | template id (high nibble), chain id (low nibble) |
| 70 | serial number source (high nibble), format version (low nibble) |
| 71 | version 0: zero; version 1: bits 6-5 of both years in bits 7-4, rest zero |

Source: Atmel-8974A; format version 1: MicrochipTech/cryptoauthlib since 3.7.5.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from atcaprov.certs import dates
from atcaprov.certs.keys import SIGNATURE_SIZE
from atcaprov.certs.serial_number import SerialSource
from atcaprov.errors import CertificateError

COMPRESSED_SIZE: Final = 72


@dataclass(frozen=True, slots=True)
class CompressedCertificate:
    """The fields of a compressed certificate; `issue_date` is in UTC on the full hour."""

    signature: bytes
    """R||S, 64 bytes."""
    issue_date: datetime
    expire_years: int
    """0 = no expiry."""
    signer_id: bytes
    """2 bytes."""
    template_id: int
    chain_id: int
    sn_source: SerialSource
    format_version: int = 0

    def pack(self) -> bytes:
        """Return the 72 bytes; raises CertificateError when a field does not fit."""
        if len(self.signature) != SIGNATURE_SIZE or len(self.signer_id) != 2:
            raise CertificateError("A compressed certificate has a signature of 64 bytes and a signer id of 2.")
        if not (0 <= self.template_id <= 15 and 0 <= self.chain_id <= 15):
            raise CertificateError("Template id and chain id of a compressed certificate are numbers from 0 to 15.")
        encoded, extension = self.encoded_dates()
        ids = bytes([self.template_id << 4 | self.chain_id, self.sn_source << 4 | self.format_version, extension])
        return self.signature + encoded + self.signer_id + ids

    def encoded_dates(self) -> tuple[bytes, int]:
        """Return bytes 64-66 and byte 71."""
        return dates.encode_dates(self.issue_date, self.expire_years, self.format_version)

    @staticmethod
    def parse(data: bytes) -> CompressedCertificate:
        """Read the 72 bytes; raises CertificateError for another length, an impossible date or unknown codes."""
        return _parsed(bytes(data))


def require_compressed(data: bytes) -> None:
    """Raise CertificateError as `CompressedCertificate.parse` does.

    Quick for many certificates of a signer and an hour, which differ only in their signatures.
    """
    _parsed(bytes(SIGNATURE_SIZE) + data[SIGNATURE_SIZE:] if len(data) == COMPRESSED_SIZE else bytes(data))


@functools.lru_cache(maxsize=512)
def _parsed(data: bytes) -> CompressedCertificate:
    """Results are cached: an issuer reads each of a batch more than once."""
    if len(data) != COMPRESSED_SIZE:
        raise CertificateError(f"A compressed certificate has 72 bytes, not {len(data)}.")
    format_version = data[70] & 15
    _check_version(format_version, data[71])
    issue_date, expire_years = dates.decode_dates(data[64:67], data[71], format_version)
    return CompressedCertificate(
        signature=data[:64],
        issue_date=issue_date,
        expire_years=expire_years,
        signer_id=data[67:69],
        template_id=data[69] >> 4,
        chain_id=data[69] & 15,
        sn_source=_source(data[70] >> 4),
        format_version=format_version,
    )


def _check_version(format_version: int, extension: int) -> None:
    if format_version > 1:
        raise CertificateError(
            f"The compressed certificate has format version {format_version}; P-256 certificates have 0 or 1.",
            advice="The slot holds something else, or was never written.",
        )
    if extension & (0x0F if format_version else 0xFF):
        raise CertificateError(
            f"Byte 71 of the compressed certificate is {extension:02X}; "
            f"format version {format_version} keeps {'its low four bits' if format_version else 'it'} zero.",
            advice="The slot holds something else, or a byte was damaged.",
        )


def _source(code: int) -> SerialSource:
    try:
        return SerialSource(code)
    except ValueError:
        raise CertificateError(f"The compressed certificate names the unknown serial number source {code:X}.") from None


def hashed_dates(compressed: bytes) -> bytes:
    """Return the date bytes that go into a hashed serial number: 64-66, in version 1 also the high nibble of 71."""
    if compressed[70] & 15:
        return compressed[64:67] + bytes([compressed[71] & 0xF0])
    return compressed[64:67]
