"""Info (30): revision, key validity, device state, persistent latch."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import KEY_TYPE_P256, VOLATILE_KEY_PERMISSION
from atcaprov.emulator import ecc
from atcaprov.emulator.command import Command, data_never_count, require_length, require_p2, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied, illegal

_REVISION: Final = 0
_KEY_VALID: Final = 1
_STATE: Final = 2
_LATCH: Final = 4
_LATCH_READ: Final = 0
_LATCH_CLEAR: Final = 2
_LATCH_SET: Final = 3
_PERMISSION_ON: Final = 0x80


def _check(p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    if p1 not in (_REVISION, _KEY_VALID, _STATE, _LATCH):
        raise illegal(f"Info has no mode {p1}")  # 3, GPIO, is for parts on a single wire
    if p1 == _KEY_VALID:
        require_slot_number(p2)
    elif p1 == _LATCH:
        require_p2(p2, _LATCH_READ, _LATCH_CLEAR, _LATCH_SET)


def _execute(core: Core, p1: int, p2: int, _data: bytes) -> bytes:
    if p1 == _REVISION:
        return core.memory.revision
    if p1 == _KEY_VALID:
        return _flag(_key_valid(core, p2), core.switches.keyvalid_byte)
    if p1 == _STATE:
        return _state(core)
    if p2 != _LATCH_READ:
        _write_latch(core, p2 == _LATCH_SET)
    return _flag(core.powered.latch, 0)


def _flag(value: bool, place: int) -> bytes:
    answer = bytearray(4)
    answer[place] = value
    return bytes(answer)


def _key_valid(core: Core, number: int) -> bool:
    slot = core.slot(number)
    if slot.key_type != KEY_TYPE_P256:
        return False
    if slot.private:
        return slot.private_key() is not None
    if slot.needs_validation:
        return slot.validated
    return slot.holds_public_key and ecc.on_curve(slot.public_key())


def _state(core: Core) -> bytes:
    """Byte 0: TempKey flags. Byte 1: bit 0 TempKey valid, bits 4-1 AuthKey, bit 5 AuthValid, bit 6 RNG seed updated."""
    volatile = core.volatile
    if core.switches.info_state_layout == "zero":
        return bytes((volatile.temp_key.flags(), 0, 0, 0))
    authorized = volatile.authorized
    second = volatile.temp_key.valid | (authorized or 0) << 1 | (authorized is not None) << 5
    return bytes((volatile.temp_key.flags(), second | volatile.seed_updated << 6, 0, 0))


def _write_latch(core: Core, value: bool) -> None:
    permission = core.memory.config[VOLATILE_KEY_PERMISSION]
    if not permission & _PERMISSION_ON:
        raise denied("the persistent latch is not enabled", bit="VolatileKeyPermission")
    needs_proof = value or core.switches.latch_clear_needs_authorization
    if needs_proof and core.volatile.authorized != permission & 0x0F:
        raise denied("CheckMac must succeed first", slot=permission & 0x0F, bit="VolatileKeyPermission")
    core.powered.latch = value


COMMAND: Final = Command(Opcode.INFO, 0x07, _check, _execute, data_never_count)
