"""The EEPROM: 128 bytes of configuration, 64 of OTP, 1,208 of data, and the revision that is fixed in the silicon."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from atcaprov.chip.memory_map import (
    CONFIG_SIZE,
    LOCK_CONFIG,
    LOCK_VALUE,
    OTP_SIZE,
    REVISION,
    SLOT_LOCKED,
    SLOT_SIZES,
    UNLOCKED,
    serial_number,
)
from atcaprov.chip.parts import REVISION_SIZE, is_508

DATA_SIZE: Final = sum(SLOT_SIZES)
SLOT_STARTS: Final = tuple(accumulate(SLOT_SIZES, initial=0))[:-1]
Zones = tuple[bytes, bytes, bytes]
"""Copies of configuration, OTP and data zone."""


class Memory:
    """The three zones as mutable bytes; slots lie in the data zone in slot order without gaps.

    `revision` (4 bytes) is what Info answers and decides which part the chip is. Bytes 4 to 7 of the configuration
    zone hold a revision, too, which may differ; it is the default. A twin (`is_twin`) is what could be read of a real
    chip: it has no private keys, and slots that it does not know (see `MemorySlot`).
    """

    __slots__ = ("config", "data", "is_twin", "otp", "revision")

    def __init__(
        self, config: bytes, otp: bytes, data: bytes, revision: bytes | None = None, *, is_twin: bool = False
    ) -> None:
        if (len(config), len(otp), len(data)) != (CONFIG_SIZE, OTP_SIZE, DATA_SIZE):
            raise ValueError(f"zones must have {CONFIG_SIZE}, {OTP_SIZE} and {DATA_SIZE} bytes")
        self.revision = bytes(config[REVISION] if revision is None else revision)
        if len(self.revision) != REVISION_SIZE:
            raise ValueError(f"a revision must have {REVISION_SIZE} bytes")
        self.is_twin = is_twin
        self.config = bytearray(config)
        self.otp = bytearray(otp)
        self.data = bytearray(data)

    def image(self) -> Zones:
        """Return copies of configuration, OTP and data zone."""
        return bytes(self.config), bytes(self.otp), bytes(self.data)

    def restore(self, image: Zones) -> None:
        """Put an image back that `image` took."""
        self.config[:], self.otp[:], self.data[:] = image

    @property
    def config_locked(self) -> bool:
        """Whether LockConfig says that the configuration zone is locked."""
        return self.config[LOCK_CONFIG] != UNLOCKED

    @property
    def data_locked(self) -> bool:
        """Whether LockValue says that data and OTP zone are locked."""
        return self.config[LOCK_VALUE] != UNLOCKED

    def word(self, offset: int) -> int:
        """Return the little-endian 16-bit word of the configuration zone at `offset`."""
        return self.config[offset] | self.config[offset + 1] << 8

    @property
    def is_508(self) -> bool:
        """Whether the chip is an ATECC508A."""
        return is_508(self.revision)

    @property
    def serial(self) -> bytes:
        """The 9-byte serial number."""
        return serial_number(bytes(self.config[:13]))

    def slot_unlocked(self, slot: int) -> bool:
        """Return the SlotLocked bit of `slot`: True while the slot itself is not locked."""
        return bool(self.config[SLOT_LOCKED.start + (slot >> 3)] >> (slot & 7) & 1)

    def read_slot(self, slot: int, offset: int, count: int) -> bytes:
        """Return up to `count` bytes of `slot` from `offset`, ending with the slot."""
        start = SLOT_STARTS[slot]
        end = min(start + offset + count, start + SLOT_SIZES[slot])
        return bytes(self.data[start + offset : end])

    def write_slot(self, slot: int, offset: int, content: bytes) -> None:
        """Store `content` in `slot` from `offset`; bytes beyond the slot's end are dropped."""
        room = SLOT_SIZES[slot] - offset
        kept = content[:room]
        start = SLOT_STARTS[slot] + offset
        self.data[start : start + len(kept)] = kept
