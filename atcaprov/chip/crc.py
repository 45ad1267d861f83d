"""The CRC-16 of packets and lock summaries.

Polynomial 8005, start value 0, each byte least significant bit first, register shifted left, sent low byte first
(cryptoauthlib lib/calib/calib_command.c, atCRC). It is the one piece of logic that host and software chip share: the
vendor's own C code checks it on every packet of every test, so an error here cannot hide.
"""

from __future__ import annotations

import struct
from array import array
from typing import Final

_POLYNOMIAL: Final = 0x8005


def _shift_8(register: int) -> int:
    for _ in range(8):
        register = (register << 1 ^ _POLYNOMIAL if register & 0x8000 else register << 1) & 0xFFFF
    return register


_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ONE_BYTE: Final = tuple(_shift_8(byte << 8) for byte in range(256))
_HIGH_BYTE: Final = tuple((_ONE_BYTE[byte] << 8 & 0xFFFF) ^ _ONE_BYTE[_ONE_BYTE[byte] >> 8] for byte in range(256))
_TWO_BYTES: Final = array("H", [high ^ low for high in _HIGH_BYTE for low in _ONE_BYTE])
"""Return the register after two more bytes: the CRC of long replies decides the software chip's speed."""


def crc16(data: bytes) -> int:
    """Return the CRC-16 of `data` as a number; in packets it travels low byte first."""
    data = data.translate(_REVERSED)
    register = 0
    if len(data) % 2:
        register = _ONE_BYTE[data[0]]
        data = data[1:]
    for word in struct.unpack(f">{len(data) // 2}H", data):
        register = _TWO_BYTES[register ^ word]
    return register


def with_crc(data: bytes) -> bytes:
    """Return `data` with its two CRC bytes appended."""
    return data + crc16(data).to_bytes(2, "little")
