"""The CRC-16 of packets and lock summaries.

Polynomial 8005, start value 0, each byte least significant bit first, register shifted left, sent low byte first
(cryptoauthlib lib/calib/calib_command.c, atCRC). It is the one piece of logic that host and software chip share: the
vendor's own C code checks it on every packet of every test, so a fault here cannot hide.
"""

from __future__ import annotations

from typing import Final

_POLYNOMIAL: Final = 0x8005


def _table_entry(byte: int) -> int:
    register = byte << 8
    for _ in range(8):
        register = (register << 1 ^ _POLYNOMIAL if register & 0x8000 else register << 1) & 0xFFFF
    return register


_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_TABLE: Final = tuple(_table_entry(byte) for byte in range(256))


def crc16(data: bytes) -> int:
    """Return the CRC-16 of `data` as a number; in packets it travels low byte first."""
    register = 0
    for byte in data:
        register = (register << 8 & 0xFFFF) ^ _TABLE[register >> 8 ^ _REVERSED[byte]]
    return register


def with_crc(data: bytes) -> bytes:
    """Return `data` with its two CRC bytes appended."""
    return data + crc16(data).to_bytes(2, "little")
