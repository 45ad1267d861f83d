"""Pause (01), ATECC508A only: every part on the wire whose Selector is not P1 goes to idle and stays silent."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import USER_EXTRA_ADD
from atcaprov.emulator.command import SUCCESS, CommandSpec, data_never_count, require_length, require_p2
from atcaprov.emulator.core import Core


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    require_p2(p2, 0)


def _execute(core: Core, p1: int, _p2: int, _data: bytes) -> bytes:
    core.volatile.paused = core.memory.config[USER_EXTRA_ADD] != p1
    return SUCCESS


COMMAND: Final = CommandSpec(Opcode.PAUSE, 0xFF, _check, _execute, data_never_count)
