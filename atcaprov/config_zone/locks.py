"""The lock bytes of a configuration zone: the one place where host code decodes them (DS20005927A, 9.10, Lock)."""

from __future__ import annotations

from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, LOCKED, SLOT_COUNT, SLOT_LOCKED, UNLOCKED


def is_config_locked(config: bytes) -> bool:
    """Return whether the configuration zone (128 bytes) is locked: byte 87, LockConfig."""
    return config[LOCK_CONFIG] != UNLOCKED


def is_data_locked(config: bytes) -> bool:
    """Return whether the data and OTP zones of a chip with this zone (128 bytes) are locked: byte 86, LockValue."""
    return config[LOCK_VALUE] != UNLOCKED


def locks_of_word(word: bytes) -> tuple[bool, bool]:
    """Return (config locked, data locked) from bytes 84 to 87 alone, the word that holds both lock bytes."""
    first = LOCK_VALUE - LOCK_VALUE % 4
    return word[LOCK_CONFIG - first] != UNLOCKED, word[LOCK_VALUE - first] != UNLOCKED


def claims_config_lock(config: bytes) -> bool:
    """Return whether byte 87 of a zone that someone sent is 00, the only value that Lock writes."""
    return config[LOCK_CONFIG] == LOCKED


def open_slots(config: bytes) -> int:
    """Return SlotLocked, bytes 88 and 89, as a number: bit n is slot n, and 1 means that the slot is not locked."""
    return int.from_bytes(config[SLOT_LOCKED], "little")


def is_slot_locked(config: bytes, slot: int) -> bool:
    """Return whether a slot is locked one by one."""
    return not open_slots(config) >> slot & 1


def locked_slots(config: bytes) -> list[int]:
    """Return the slots that are locked one by one; none while the configuration zone can still be written."""
    return [slot for slot in range(SLOT_COUNT) if is_config_locked(config) and is_slot_locked(config, slot)]
