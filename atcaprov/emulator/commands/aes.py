"""AES (51): one block of AES-128, or one step of GCM's hash."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import TEMP_KEY_SLOT, Opcode
from atcaprov.chip.memory_map import KEY_TYPE_AES
from atcaprov.emulator.aes import BLOCK, decrypt, encrypt, multiply, require_aes_enabled
from atcaprov.emulator.command import CommandSpec, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import count_use, require_key_type, require_open_use, require_symmetric, require_usable
from atcaprov.emulator.refusal import denied, illegal
from atcaprov.emulator.temp_key_rules import require_output_of_temp_key

_MODE: Final = 0x07
_ENCRYPT: Final = 0
_DECRYPT: Final = 1
_GFM: Final = 3


def _check(p1: int, p2: int, length: int) -> None:
    mode = p1 & _MODE
    if mode == _GFM:
        require_length(length, 2 * BLOCK)
        return
    if mode not in (_ENCRYPT, _DECRYPT):
        raise illegal(f"AES has no mode {mode}")
    require_length(length, BLOCK)
    if p2 != TEMP_KEY_SLOT:
        require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    require_aes_enabled(core)
    mode = p1 & _MODE
    if mode == _GFM:
        return multiply(data[:BLOCK], data[BLOCK:])
    start = BLOCK * (p1 >> 6)
    key = _temp_key(core, start) if p2 == TEMP_KEY_SLOT else _slot_key(core, p2, start)
    return encrypt(key, data) if mode == _ENCRYPT else decrypt(key, data)


def _temp_key(core: Core, start: int) -> bytes:
    temp_key = core.temp_key
    if not temp_key.valid or (start >= 32 and not temp_key.is_64):
        raise denied("TempKey is not valid, or too short for the key block")
    require_output_of_temp_key(core)
    return temp_key.value[start : start + BLOCK]


def _slot_key(core: Core, number: int, start: int) -> bytes:
    slot = core.slot(number)
    require_usable(core, slot)
    require_open_use(core, slot)
    require_symmetric(slot)
    require_key_type(core, slot, KEY_TYPE_AES)
    slot.require_known()
    key = slot.read(start, BLOCK)
    if len(key) < BLOCK:
        raise denied("the key block lies outside the slot", slot=slot.number)
    count_use(core, slot, Opcode.AES)
    return key


COMMAND: Final = CommandSpec(Opcode.AES, 0xC7, _check, _execute)
