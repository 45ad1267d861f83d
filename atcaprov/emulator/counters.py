"""The two monotonic counters in the configuration zone.

Stored form, 8 bytes: linA, linB, binA, binB, each big-endian 16 bits (cryptoauthlib, calib_write_config_counter).
"""

from __future__ import annotations

import struct
from typing import Final

from atcaprov.chip.memory_map import COUNTERS
from atcaprov.emulator.memory import Memory

MAXIMUM: Final = 2_097_151
COUNTER_SIZE: Final = 8
_FULL: Final = 0xFFFF


def decode(stored: bytes) -> int:
    """Return the value of 8 stored bytes; any pattern has one."""
    lin_a, lin_b, bin_a, bin_b = struct.unpack(">4H", stored)
    second = 16 - lin_b.bit_count() if bin_a == bin_b else 0
    return 32 * int(bin_a) + 16 - int(lin_a).bit_count() + second


def encode(value: int) -> bytes:
    """Return the 8 stored bytes of `value`, 0 to MAXIMUM."""
    if value < 16:
        return struct.pack(">4H", _FULL >> value, _FULL, 0, 0)
    return struct.pack(
        ">4H",
        _FULL >> value % 32,
        _FULL >> (value - 16) % 32,
        value // 32,
        (value - 16) // 32,
    )


def _place(number: int) -> slice:
    start = COUNTERS.start + COUNTER_SIZE * number
    return slice(start, start + COUNTER_SIZE)


def read_counter(memory: Memory, number: int) -> int:
    """Return Counter 0 or 1."""
    return decode(bytes(memory.config[_place(number)]))


def write_counter(memory: Memory, number: int, value: int) -> None:
    """Store a value in Counter 0 or 1; counters live in the configuration zone and change also when it is locked."""
    memory.config[_place(number)] = encode(value)
