"""Counter (24): read or advance one of the two monotonic counters."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import CommandSpec, require_length, require_p2
from atcaprov.emulator.core import Core
from atcaprov.emulator.counters import MAXIMUM, read_counter, write_counter
from atcaprov.emulator.refusal import denied

_ADVANCE: Final = 1


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    require_p2(p2, 0, 1)


def _execute(core: Core, p1: int, p2: int, _data: bytes) -> bytes:
    value = read_counter(core.memory, p2)
    if p1 == _ADVANCE:
        if value >= MAXIMUM:
            raise denied(f"Counter {p2} is at its maximum")
        value += 1
        write_counter(core.memory, p2, value)
    return value.to_bytes(4, "little")


COMMAND: Final = CommandSpec(Opcode.COUNTER, 0x01, _check, _execute)
