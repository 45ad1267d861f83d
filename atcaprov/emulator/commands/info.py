"""Info (30): revision, key validity, device state, persistent latch."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import KEY_TYPE_P256, VOLATILE_KEY_PERMISSION
from atcaprov.emulator import ecc
from atcaprov.emulator.command import CommandSpec, data_never_count, require_length, require_p2, require_slot_number
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
        return _flag(_key_valid(core, p2))
    if p1 == _STATE:
        return _state(core)
    if p2 != _LATCH_READ:
        _write_latch(core, p2 == _LATCH_SET)
    return _flag(core.powered.latch)


def _flag(value: bool) -> bytes:
    # The vendor's pages print the bytes from the last to the first: 00 00 00 01 (TNGTLS data sheet, 5.1.2.2, 5.1.2.3).
    return bytes((value, 0, 0, 0))


def _key_valid(core: Core, number: int) -> bool:
    slot = core.slot(number)
    if slot.key_type != KEY_TYPE_P256:
        return False
    if slot.private:
        return slot.holds_private_key()
    if slot.needs_validation:
        return slot.validated
    return slot.holds_public_key and ecc.on_curve(slot.public_key())


def _state(core: Core) -> bytes:
    """Byte 0: TempKey's flags. Byte 1: TempKey.Valid in bit 7, AuthKey 6-3, AuthValid 2, EEPROM seed updated 0.

    Bit 1, for the seed in SRAM, stays 0 as on a real ATECC508A after a Nonce. DS20005927A section 9.9; the TNGTLS data
    sheet, 5.1.2.3, calls bits 1 and 0 unused.
    """
    volatile = core.volatile
    authorized = volatile.authorized
    second = volatile.temp_key.valid << 7 | (authorized or 0) << 3 | (authorized is not None) << 2
    if volatile.seed_updated and core.rules.info_state_seed == "shown":
        second |= 1
    return bytes((volatile.temp_key.flags(), second, 0, 0))


def _write_latch(core: Core, value: bool) -> None:
    permission = core.memory.config[VOLATILE_KEY_PERMISSION]
    if not permission & _PERMISSION_ON:
        raise denied("the persistent latch is not enabled", bit="VolatileKeyPermission")
    needs_proof = value or core.open_points.latch_clear_needs_authorization
    if needs_proof and core.volatile.authorized != permission & 0x0F:
        raise denied("CheckMac must succeed first", slot=permission & 0x0F, bit="VolatileKeyPermission")
    core.powered.latch = value


COMMAND: Final = CommandSpec(Opcode.INFO, 0x07, _check, _execute, data_never_count)
