"""Describe the differences between two memories, without showing a secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from atcaprov.chip.memory_map import (
    CHIP_OPTIONS,
    CONFIG_SIZE,
    COUNTERS,
    KEY_CONFIG,
    LOCK_CONFIG,
    LOCK_VALUE,
    OTP_SIZE,
    SLOT_CONFIG,
    SLOT_COUNT,
    SLOT_LOCKED,
    UNLOCKED,
    USER_EXTRA,
    USER_EXTRA_ADD,
)
from atcaprov.emulator.counters import read_counter
from atcaprov.emulator.memory import Memory, Zones
from atcaprov.emulator.slot import MemorySlot

_NAMED: Final = {
    16: "I2C_Address",
    18: "CountMatch",
    19: "ChipMode",
    68: "UseLock",
    69: "VolatileKeyPermission",
    70: "SecureBoot",
    71: "SecureBoot",
    72: "KdfIvLoc",
    USER_EXTRA: "UserExtra",
    USER_EXTRA_ADD: "UserExtraAdd",
    CHIP_OPTIONS.start: "ChipOptions",
    CHIP_OPTIONS.start + 1: "ChipOptions",
}


def explain_changes(before: Zones, after: Zones) -> list[str]:
    """Return one sentence for each difference from `before` to `after` (configuration, OTP, data zone).

    The contents of slots are not shown, only where they changed; the configuration zone is not secret and is shown.
    """
    old, new = Memory(*before), Memory(*after)
    return [*_locks(old, new), *_counters(old, new), *_config(old, new), *_slots(old, new), *_otp(old, new)]


def _locks(old: Memory, new: Memory) -> Iterator[str]:
    for place, zone in ((LOCK_CONFIG, "The configuration zone"), (LOCK_VALUE, "The data and OTP zone")):
        was, now = old.config[place] != UNLOCKED, new.config[place] != UNLOCKED
        if was != now:
            yield f"{zone} is {'locked' if now else 'open'} now."
    for slot in range(SLOT_COUNT):
        was, now = old.slot_unlocked(slot), new.slot_unlocked(slot)
        if was != now:
            yield f"Slot {slot} is {'open' if now else 'locked'} now."


def _counters(old: Memory, new: Memory) -> Iterator[str]:
    for number in range(2):
        was, now = read_counter(old, number), read_counter(new, number)
        if was != now:
            yield f"Counter {number} went from {was} to {now}."


def _config(old: Memory, new: Memory) -> Iterator[str]:
    told = {LOCK_CONFIG, LOCK_VALUE, *range(SLOT_LOCKED.start, SLOT_LOCKED.stop), *_moved_counters(old, new)}
    for place in range(CONFIG_SIZE):
        was, now = old.config[place], new.config[place]
        if was != now and place not in told:
            yield f"Configuration byte {place}{_name(place)} went from {was:02X} to {now:02X}."


def _moved_counters(old: Memory, new: Memory) -> Iterator[int]:
    """Return the bytes of the counters whose value changed; a new pattern of the same value is shown as bytes."""
    for number in range(2):
        if read_counter(old, number) != read_counter(new, number):
            yield from range(COUNTERS.start + 8 * number, COUNTERS.start + 8 * number + 8)


def _name(place: int) -> str:
    if place < 4 or 8 <= place < 13:
        return " (serial number)"
    if 4 <= place < 8:
        return " (revision)"
    if SLOT_CONFIG <= place < SLOT_CONFIG + 2 * SLOT_COUNT:
        return f" (SlotConfig of slot {(place - SLOT_CONFIG) // 2})"
    if place >= KEY_CONFIG:
        return f" (KeyConfig of slot {(place - KEY_CONFIG) // 2})"
    return f" ({_NAMED[place]})" if place in _NAMED else ""


def _slots(old: Memory, new: Memory) -> Iterator[str]:
    for number in range(SLOT_COUNT):
        was, now = MemorySlot(old, number), MemorySlot(new, number)
        if now.private and was.private_key() != now.private_key():
            yield f"Slot {number} {_key_change(was, now)}."
        else:
            places = _ranges(was.read(0, was.size), now.read(0, now.size))
            yield from (f"Slot {number}: bytes {first} to {last} changed." for first, last in places)


def _key_change(was: MemorySlot, now: MemorySlot) -> str:
    if now.private_key() is None:
        return "lost its private key"
    return "has its first private key" if was.private_key() is None else "has another private key"


def _otp(old: Memory, new: Memory) -> Iterator[str]:
    places = _ranges(bytes(old.otp[:OTP_SIZE]), bytes(new.otp[:OTP_SIZE]))
    yield from (f"OTP: bytes {first} to {last} changed." for first, last in places)


def _ranges(old: bytes, new: bytes) -> list[tuple[int, int]]:
    """Return the first and the last byte of each run of 4-byte words that differ."""
    found: list[tuple[int, int]] = []
    for start in range(0, len(old), 4):
        if old[start : start + 4] == new[start : start + 4]:
            continue
        if found and found[-1][1] == start - 1:
            found[-1] = (found[-1][0], start + 3)
        else:
            found.append((start, start + 3))
    return found
