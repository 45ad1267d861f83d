"""Monotonic counters as the zone stores them: 8 bytes, linA linB binA binB, each big-endian 16 bits.

Source: cryptoauthlib lib/calib/calib_write.c, calib_write_config_counter.
"""

from __future__ import annotations

from typing import Final

from atcaprov.errors import Code, UsageError

COUNTER_MAX: Final = 2_097_151
COUNTER_ZERO: Final = bytes.fromhex("FFFFFFFF00000000")
_HALF: Final = 16
_TURN: Final = 32
_ONES: Final = 0xFFFF


def encode_counter(value: int) -> bytes:
    """Return the 8 stored bytes of a counter that stands at `value` (0 to 2,097,151)."""
    if not 0 <= value <= COUNTER_MAX:
        raise UsageError(
            f"A counter goes from 0 to {COUNTER_MAX}; {value} does not fit.", code=Code.CONFIG_ZONE_INVALID
        )
    second = value - _HALF
    words = (
        _ONES >> value % _TURN,
        _ONES >> second % _TURN if second >= 0 else _ONES,
        value // _TURN,
        second // _TURN if second >= 0 else 0,
    )
    return b"".join(word.to_bytes(2, "big") for word in words)


def decode_counter(stored: bytes) -> int | None:
    """Return the value of 8 stored bytes, or None if no value is stored so."""
    linear_a, linear_b, binary_a, binary_b = (int.from_bytes(stored[at : at + 2], "big") for at in range(0, 8, 2))
    value = _TURN * binary_a + _zeros(linear_a) + (_zeros(linear_b) if binary_a == binary_b else 0)
    return value if value <= COUNTER_MAX and encode_counter(value) == stored else None


def _zeros(word: int) -> int:
    return _HALF - word.bit_count()
