"""Fields of the whole zone that hold more than one setting: ChipMode, SecureBoot, ChipOptions, and the counters.

A counter is stored in 8 bytes, linA linB binA binB, each 16 bits big-endian. Source: cryptoauthlib
lib/calib/calib_write.c, calib_write_config_counter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.errors import Code, UsageError

CLOCK_DIVIDERS: Final = {0b00000: "M0", 0b00101: "M1", 0b01101: "M2"}
"""ChipMode bits 7-3 of the ATECC608."""

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
    """Return the value of 8 stored bytes, or None if no value is stored like this."""
    linear_a, linear_b, binary_a, binary_b = (int.from_bytes(stored[at : at + 2], "big") for at in range(0, 8, 2))
    value = _TURN * binary_a + _zeros(linear_a) + (_zeros(linear_b) if binary_a == binary_b else 0)
    return value if value <= COUNTER_MAX and encode_counter(value) == stored else None


def _zeros(word: int) -> int:
    return _HALF - word.bit_count()


@dataclass(frozen=True, slots=True)
class ChipMode:
    """Byte 19."""

    value: int

    @property
    def user_extra_address(self) -> bool:
        """608: byte 85, once set, is the I2C address. 508A: Selector can be written once."""
        return bool(self.value & 1)

    @property
    def ttl_levels(self) -> bool:
        """Input levels follow VCC instead of being fixed."""
        return bool(self.value >> 1 & 1)

    @property
    def long_watchdog(self) -> bool:
        """The watchdog waits about 10 s instead of 1.3 s."""
        return bool(self.value >> 2 & 1)

    @property
    def clock_divider(self) -> int:
        """Bits 7-3; names in CLOCK_DIVIDERS."""
        return self.value >> 3


@dataclass(frozen=True, slots=True)
class SecureBoot:
    """Bytes 70-71 of the ATECC608."""

    value: int

    @property
    def mode(self) -> int:
        """0 off, 1 FullBoth, 2 FullSig, 3 FullDig."""
        return self.value & 3

    @property
    def persistent(self) -> bool:
        """A success sets the persistent latch."""
        return bool(self.value >> 3 & 1)

    @property
    def random_nonce(self) -> bool:
        """The command needs TempKey from a random Nonce."""
        return bool(self.value >> 4 & 1)

    @property
    def digest_slot(self) -> int:
        """Slot of the stored signature or digest."""
        return self.value >> 8 & 0xF

    @property
    def key_slot(self) -> int:
        """Slot of the public key."""
        return self.value >> 12


@dataclass(frozen=True, slots=True)
class ChipOptions:
    """Bytes 90-91 of the ATECC608."""

    value: int

    @property
    def power_on_self_test(self) -> bool:
        """The chip tests itself at each wake after power-on: a slow wake."""
        return bool(self.value & 1)

    @property
    def io_protection(self) -> bool:
        """The IO protection key is enabled."""
        return bool(self.value >> 1 & 1)

    @property
    def kdf_aes(self) -> bool:
        """KDF may use AES."""
        return bool(self.value >> 2 & 1)

    @property
    def clear_health_failure(self) -> bool:
        """A health-test failure is cleared after its first report."""
        return bool(self.value >> 3 & 1)

    @property
    def reserved(self) -> int:
        """Bits 7-4."""
        return self.value >> 4 & 0xF

    @property
    def ecdh_protection(self) -> int:
        """0 clear output, 1 encrypted output, 2 into TempKey or a slot only, 3 forbidden."""
        return self.value >> 8 & 3

    @property
    def kdf_protection(self) -> int:
        """As `ecdh_protection`, for KDF."""
        return self.value >> 10 & 3

    @property
    def io_key_slot(self) -> int:
        """Slot of the IO protection key."""
        return self.value >> 12
