"""What the memory holds when the supply fails while a command writes it.

A write leaves old or new bytes, never a mixture; a lock is set or not; a key that was being written may be invalid, a
derived one unknown; a counter may advance by more than one but loses no count.
"""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import SLOT_COUNT, SLOT_SIZES
from atcaprov.emulator.core import Core
from atcaprov.emulator.counters import MAXIMUM, read_counter, write_counter
from atcaprov.emulator.memory import SLOT_STARTS
from atcaprov.emulator.slot import PRIVATE_KEY_SIZE

Image = tuple[bytes, bytes, bytes]
_INVALID_KEY: Final = b"\xff" * PRIVATE_KEY_SIZE


def interrupted(core: Core, before: Image, opcode: int) -> None:
    """Change the memory, which holds the state after the command, to one that an interruption may leave."""
    changed = _changed_slots(core, before)
    if opcode in (Opcode.PRIV_WRITE, Opcode.GEN_KEY):
        for slot in changed:
            core.memory.write_slot(slot, 0, _INVALID_KEY)
    elif opcode == Opcode.DERIVE_KEY:
        for slot in changed:
            core.memory.write_slot(slot, 0, core.random_source.take(32))
    elif opcode == Opcode.COUNTER:
        _advance_again(core, before)
    elif core.random_source.take(1)[0] & 1:
        core.memory.restore(before)


def _changed_slots(core: Core, before: Image) -> list[int]:
    old = before[2]
    places = ((slot, SLOT_STARTS[slot], SLOT_STARTS[slot] + SLOT_SIZES[slot]) for slot in range(SLOT_COUNT))
    return [slot for slot, start, end in places if old[start:end] != core.memory.data[start:end]]


def _advance_again(core: Core, before: Image) -> None:
    if before[0] == core.memory.config:
        return
    for number in range(2):
        value = read_counter(core.memory, number)
        changed = core.memory.config[52 + 8 * number : 60 + 8 * number] != before[0][52 + 8 * number : 60 + 8 * number]
        if changed and value < MAXIMUM:
            write_counter(core.memory, number, value + core.random_source.take(1)[0] % 2)
