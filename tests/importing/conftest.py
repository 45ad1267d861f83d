"""A chip whose zones are locked and whose slots for certificates stay writable, with a key in slots 0 and 2."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atcaprov.chip.memory_map import KEY_CONFIG, LOCK_CONFIG, LOCK_VALUE, SLOT_CONFIG
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.emulator.slot import MemorySlot
from tests.support.certificates import Key
from tests.support.scripted_hal import ScriptedHal

KEYS = {0: Key.of(0x5107), 2: Key.of(0x5127)}
MakeChip = Callable[..., ScriptedHal]


def configured_chip(
    *,
    config_locked: bool = True,
    data_locked: bool = True,
    slots: dict[int, tuple[int, int]] | None = None,
    content: dict[int, bytes] | None = None,
    keys: dict[int, Key] = KEYS,
    locked: tuple[int, ...] = (),
) -> ScriptedHal:
    hal = ScriptedHal()
    memory = hal.memory
    memory.config[16:86] = DEFAULT_608A[16:86]
    memory.config[90:] = DEFAULT_608A[90:]
    writable = {10: (0x0F0F, 0x003C), 11: (0x0F0F, 0x0030), 12: (0x0F0F, 0x003C)}
    for slot, (slot_config, key_config) in {**writable, **(slots or {})}.items():
        for offset, word in ((SLOT_CONFIG, slot_config), (KEY_CONFIG, key_config)):
            memory.config[offset + 2 * slot : offset + 2 * slot + 2] = word.to_bytes(2, "little")
    for slot in locked:
        memory.config[88 + slot // 8] &= ~(1 << slot % 8)
    for slot, data in (content or {}).items():
        memory.write_slot(slot, 0, data)
    for slot, key in keys.items():
        scalar = key.private.private_numbers().private_value.to_bytes(32, "big")
        MemorySlot(memory, slot).store_private_key(scalar)
    memory.config[LOCK_CONFIG] = 0 if config_locked else 0x55
    memory.config[LOCK_VALUE] = 0 if data_locked else 0x55
    return hal


@pytest.fixture
def make_chip() -> MakeChip:
    return configured_chip
