"""Which part of the family a chip is, by its answer to Info(Revision).

Only that answer identifies a part: the revision bytes of the configuration zone (4 to 7) may hold something else
(Microchip AN3539, section 1.2.4; ATECC608 Trust&GO data sheets, Info command). Byte 2 is the family, byte 3 the
silicon. The vendor announces that byte 3 changes with the silicon, so an unknown one does not mean another part.
Published are 02 for the ATECC608A and 03 for the 608B; 04 for the 608C is a guess that no document confirms.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

REVISION_SIZE: Final = 4
REVISION_608A: Final = bytes.fromhex("00006002")
_FAMILY: Final = slice(2, 3)
_FAMILY_508: Final = b"\x50"
_FAMILY_608: Final = REVISION_608A[_FAMILY]
_SILICON: Final = slice(3, 4)
_OTHER_FAMILIES: Final = MappingProxyType(
    # As the vendor's library tells the parts apart, by byte 2 (cryptoauthlib, calib_get_devicetype).
    {b"\x00": "ATSHA204A", b"\x02": "ATSHA204A", b"\x10": "ATECC108A", b"\x20": "ECC204", b"\x40": "ATSHA206A"}
)
_NAMES_608: Final = MappingProxyType(
    {b"\x00": "ATECC608A", b"\x01": "ATECC608A", b"\x02": "ATECC608A", b"\x03": "ATECC608B", b"\x04": "ATECC608C"}
)


def is_508(revision: bytes) -> bool:
    """Tell whether a chip with this revision, 4 bytes, is an ATECC508A."""
    return revision[_FAMILY] == _FAMILY_508


def is_608(revision: bytes) -> bool:
    """Tell whether a chip with this revision, 4 bytes, is of the ATECC608 family, of any silicon."""
    return revision[_FAMILY] == _FAMILY_608


def is_known(revision: bytes) -> bool:
    """Tell whether the silicon of a chip with this revision, 4 bytes, is one that is known here."""
    return is_508(revision) or (is_608(revision) and revision[_SILICON] in _NAMES_608)


def part_name(revision: bytes) -> str:
    """Return the name of the part with this revision, 4 bytes; the revision is named where it is not known."""
    if is_508(revision):
        return "ATECC508A"
    if is_608(revision):
        return _NAMES_608.get(revision[_SILICON], f"ATECC608, unknown revision {spaced(revision)}")
    return _OTHER_FAMILIES.get(revision[_FAMILY], f"unknown part, revision {spaced(revision)}")


def spaced(revision: bytes) -> str:
    """Return the bytes as data sheets print them: 00 00 60 02."""
    return revision.hex(" ").upper()
