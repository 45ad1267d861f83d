"""Find out how a certificate's serial number was made, by trying every source (see atcaprov.certs.serial_number)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from atcaprov.certs.serial_number import FIXED_SIZES, NEEDS_CHIP_SERIAL, SerialSource, generate

_SHORTEST_HASH: Final = 8
"""Bytes; fewer could agree by chance."""
_SOURCES: Final = (
    SerialSource.PUB_KEY_HASH,
    SerialSource.DEVICE_SN_HASH,
    SerialSource.DEVICE_SN,
    SerialSource.SIGNER_ID,
    SerialSource.PUB_KEY_HASH_POS,
    SerialSource.DEVICE_SN_HASH_POS,
    SerialSource.PUB_KEY_HASH_RAW,
    SerialSource.DEVICE_SN_HASH_RAW,
)
"""The masked hashes first: an unmasked one can look like them."""


@dataclass(frozen=True)
class GeneratedSerial:
    """A source, and the bytes of the serial number's content that it gives."""

    source: SerialSource
    offset: int
    count: int


@dataclass(frozen=True)
class SerialParts:
    """What serial numbers are made from; `dates` as in serial_number.generate."""

    public_key: bytes
    signer_id: bytes
    dates: bytes
    chip_serial: bytes | None


def find_source(content: bytes, parts: SerialParts) -> GeneratedSerial | None:
    """Return how the content of a serial number (INTEGER) was made; None if by no known source.

    Constant bytes may stand before or behind the generated ones, as behind those of Atmel's first certificates.
    """
    return next(_found(content, parts), None)


def _found(content: bytes, parts: SerialParts) -> Iterator[GeneratedSerial]:
    for source in _SOURCES:
        if source in NEEDS_CHIP_SERIAL and parts.chip_serial is None:
            continue
        fixed = FIXED_SIZES.get(source)
        for count in [fixed] if fixed else range(len(content), _SHORTEST_HASH - 1, -1):
            made = generate(source, count, **vars(parts))
            if made in content:
                yield GeneratedSerial(source, content.index(made), count)
