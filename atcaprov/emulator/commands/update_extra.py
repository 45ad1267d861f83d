"""UpdateExtra (20): UserExtra or UserExtraAdd, once, in every lock state; on the ATECC508A also one use of a key."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import CHIP_MODE, USER_EXTRA, USER_EXTRA_ADD
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import spend_use
from atcaprov.emulator.refusal import denied, illegal

_USE_KEY: Final = 2


def _check(p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    if p1 == _USE_KEY:
        require_slot_number(p2)
    elif p1 > _USE_KEY:
        raise illegal(f"UpdateExtra has no mode {p1}")
    elif p2 > 0xFF:
        raise illegal("UpdateExtra takes one byte, in the low half of P2")


def _execute(core: Core, p1: int, p2: int, _data: bytes) -> bytes:
    if p1 == _USE_KEY:
        _use_key(core, p2)
        return SUCCESS
    place = USER_EXTRA + p1
    if core.memory.config[place] and not (place == USER_EXTRA_ADD and _selector_is_free(core)):
        raise denied("the byte is set already and changes only from 00", bit=f"byte {place}")
    core.memory.config[place] = p2
    return SUCCESS


def _use_key(core: Core, key_id: int) -> None:
    """Use up one use of a key with limited use; without a limit there is always one left (DS20005927A section 9.19)."""
    if not core.rules.update_extra_use:
        raise illegal("UpdateExtra has no mode 2")
    core.require_config_locked()
    spend_use(core, core.slot(key_id))


def _selector_is_free(core: Core) -> bool:
    """ATECC508A: the Selector can change any number of times, unless ChipMode bit 0 allows it once."""
    return core.memory.is_508 and not core.memory.config[CHIP_MODE] & 1


COMMAND: Final = CommandSpec(Opcode.UPDATE_EXTRA, 0x03, _check, _execute)
