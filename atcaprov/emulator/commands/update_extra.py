"""UpdateExtra (20): UserExtra or UserExtraAdd, once, in every lock state."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import CHIP_MODE, USER_EXTRA, USER_EXTRA_ADD
from atcaprov.emulator.command import Command, require_length
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied, illegal


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    if p2 > 0xFF:
        raise illegal("UpdateExtra takes one byte, in the low half of P2")


def _execute(core: Core, p1: int, p2: int, _data: bytes) -> bytes:
    place = USER_EXTRA + p1
    if core.memory.config[place] and not (place == USER_EXTRA_ADD and _selector_is_free(core)):
        raise denied("the byte has been set before and changes only from 00", bit=f"byte {place}")
    core.memory.config[place] = p2
    return b"\x00"


def _selector_is_free(core: Core) -> bool:
    """ATECC508A: the Selector changes at will unless ChipMode bit 0 makes it a one-time choice."""
    return core.memory.is_508 and not core.memory.config[CHIP_MODE] & 1


COMMAND: Final = Command(Opcode.UPDATE_EXTRA, 0x01, _check, _execute)
