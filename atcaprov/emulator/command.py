"""What dispatch knows of a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import illegal

SUCCESS = b"\x00"


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `check` sees P1, P2 and the data length and refuses what is illegal in every state; `execute` gets
    core, P1, P2 and data and returns the body of the reply, one status byte or the data.
    """

    opcode: Opcode
    p1_mask: int
    check: Callable[[int, int, int], None]
    execute: Callable[[Core, int, int, bytes], bytes]


def require_length(length: int, *allowed: int) -> None:
    """Refuse a data length that does not fit the mode."""
    if length not in allowed:
        raise illegal(f"{length} data bytes where {' or '.join(map(str, allowed))} belong")


def require_slot_number(p2: int) -> None:
    """Refuse a P2 that names no slot."""
    if p2 >= SLOT_COUNT:
        raise illegal(f"P2 {p2:04X} names no slot")


def require_p2(p2: int, *allowed: int) -> None:
    """Refuse any other P2."""
    if p2 not in allowed:
        raise illegal(f"P2 {p2:04X} where {' or '.join(f'{value:04X}' for value in allowed)} belongs")
