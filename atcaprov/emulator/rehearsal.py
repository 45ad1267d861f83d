"""Rehearse a configuration: lock it on a software chip, and try on every slot what it can still do.

Nothing here knows what the bits mean: each act is found by sending the commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import LOCK_CONFIG, LOCK_DATA, LOCK_NO_CRC, Opcode
from atcaprov.chip.memory_map import CONFIG_SIZE, SLOT_COUNT, UNLOCKED
from atcaprov.chip.memory_map import LOCK_CONFIG as LOCK_CONFIG_BYTE
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.rehearsal.filling import fill
from atcaprov.rehearsal.slot_probes import ACTS
from atcaprov.rehearsal.slot_uses import Needs, needs_of
from atcaprov.rehearsal.trial_chip import Twin

_READ_ONLY: Final = 16
Abilities = Mapping[str, Needs]
"""The acts of `atcaprov.rehearsal.slot_probes` that work, each with what it needs."""


@dataclass(frozen=True)
class SlotRehearsal:
    """What one slot can do while the data zone is open, and once both zones are locked."""

    slot: int
    before: Abilities
    after: Abilities

    @property
    def lost(self) -> tuple[str, ...]:
        """What the lock of the data zone takes away."""
        return tuple(act for act in self.before if act not in self.after)


def rehearse(config: bytes) -> tuple[SlotRehearsal, ...]:
    """Return what each of the 16 slots can do with the 128 bytes of `config`, of which 0 to 15 are ignored.

    Every slot is filled before the data lock: private slots with a key, the others with a known value or public key.

    Raises:
        ValueError: the configuration has not 128 bytes.
    """
    if len(config) != CONFIG_SIZE:
        raise ValueError(f"a configuration zone has {CONFIG_SIZE} bytes")
    source = SeededRandom(sha256(config).digest())
    memory = load_image(BLANK).make(source)
    memory.config[_READ_ONLY:] = config[_READ_ONLY:]
    memory.config[LOCK_CONFIG_BYTE - 1 : LOCK_CONFIG_BYTE + 1] = bytes((UNLOCKED, UNLOCKED))
    twin = Twin(Chip(memory, random_source=source))
    twin.does(Opcode.LOCK, LOCK_NO_CRC | LOCK_CONFIG)
    for number in range(SLOT_COUNT):
        fill(twin, number)
    before = [_abilities(twin, number) for number in range(SLOT_COUNT)]
    twin.does(Opcode.LOCK, LOCK_NO_CRC | LOCK_DATA)
    after = [_abilities(twin, number) for number in range(SLOT_COUNT)]
    return tuple(SlotRehearsal(number, before[number], after[number]) for number in range(SLOT_COUNT))


def _abilities(twin: Twin, number: int) -> Abilities:
    found = {act: needs_of(twin, act, number) for act in ACTS}
    return {act: needs for act, needs in found.items() if needs is not None}


def explain_rehearsal(rehearsals: tuple[SlotRehearsal, ...]) -> list[str]:
    """Return one sentence for each slot: what it can be used for after the lock, what that needs, and what is lost."""
    return [_sentence(rehearsal) for rehearsal in rehearsals]


def _sentence(rehearsal: SlotRehearsal) -> str:
    # A value that everyone can read proves nothing.
    useless = {"used for MAC", "used by CheckMac"} if "read in clear" in rehearsal.after else set()
    can = "; ".join(_worded(act, needs) for act, needs in rehearsal.after.items() if act not in useless)
    lost = "; ".join(act for act in rehearsal.lost if act not in ("written encrypted", "used to sign inside"))
    return f"Slot {rehearsal.slot} can be {can or 'used for nothing'}." + (f" No longer: {lost}." if lost else "")


def _worded(act: str, needs: Needs) -> str:
    return f"{act} (needs {', '.join(map(str, needs))})" if needs else act
