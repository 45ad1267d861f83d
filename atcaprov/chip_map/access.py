"""What may be done with a slot at each moment of a chip's life, as a rehearsal on a software chip finds it."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.commands import LOCK_SLOT, Opcode
from atcaprov.chip.memory_map import LOCK_CONFIG, UNLOCKED
from atcaprov.chip.modes import LOCK_SLOT_SHIFT
from atcaprov.rehearsal.needs import Need, NeedKind
from atcaprov.rehearsal.rehearsal import Rehearsal
from atcaprov.rehearsal.slot_uses import Needs, Uses, needs_of, uses_of
from atcaprov.rehearsal.trial_chip import TrialChip

LOCKED_ALONE: Final = "locked one by one"
"""The use that says whether a slot has a lock of its own."""
SlotUses = Mapping[str, Needs]
"""The uses that work on one slot, each with its needs."""


class Moment(enum.IntEnum):
    """The moments between which a lock lies."""

    BLANK = 0
    CONFIGURED = 1
    DATA_LOCKED = 2
    SLOT_LOCKED = 3

    @property
    def words(self) -> str:
        """What a person calls the moment."""
        return ("before the config lock", "after the config lock", "after the data lock", "after the slot lock")[self]


class Right(enum.StrEnum):
    """The three questions about a slot, in the order in which they are drawn."""

    READ = "Read"
    CHANGE = "Change"
    USE = "Use"


class Access(enum.StrEnum):
    """The answer to one of them at one moment."""

    FREE = "free"
    BOUND = "bound"
    NONE = "none"

    @property
    def words(self) -> str:
        """What it means."""
        return {"free": "anyone on the bus", "bound": "only with a key, or under a condition", "none": "no one"}[self]


_READ: Final = {"read in clear": "in clear", "read encrypted": "encrypted"}
_CHANGE: Final = {
    "written in clear": "in clear",
    "written encrypted": "encrypted",
    "given a new key by GenKey": "GenKey",
    "given a key by PrivWrite": "PrivWrite",
    "replaced by DeriveKey": "DeriveKey",
    "given a result of ECDH": "result of ECDH",
    "given a result of KDF": "result of KDF",
    "validated by its parent": "validation",
}
_USE: Final = {
    "used to sign a loaded digest": "sign",
    "used to sign inside": "sign inside",
    "used for ECDH": "ECDH",
    "asked for its public key": "public key",
    "used to verify signatures": "verify",
    "used for AES": "AES",
    "used as a key by GenDig": "GenDig",
    "used for MAC": "MAC",
    "used for HMAC": "HMAC",
    "used by CheckMac": "CheckMac",
    "used for KDF": "KDF",
}
WORDS: Final[Mapping[Right, Mapping[str, str]]] = {Right.READ: _READ, Right.CHANGE: _CHANGE, Right.USE: _USE}
"""A short word for each use of a rehearsal, under the question that it answers."""
_SECRET_USES: Final = frozenset(
    {
        "used as a key by GenDig",
        "used for MAC",
        "used for HMAC",
        "used by CheckMac",
        "used for KDF",
        "used for AES",
    }
)
"""Uses that prove nothing with a value that everyone can read."""
_SYMMETRIC: Final = ("GenDig", "MAC", "HMAC", "CheckMac")
_PUBLIC_VALUE: Final = "public value"
_NEEDS: Final = {
    NeedKind.CHECK_MAC: "authorized by {slot}",
    NeedKind.VERIFY: "authorized by {slot}",
    NeedKind.LATCH: "latch set",
    NeedKind.RANDOM_NONCE: "random nonce",
    NeedKind.GEN_DIG: "key {slot}",
    NeedKind.MAC: "MAC by {slot}",
    NeedKind.VALIDATED: "key {slot} valid",
    NeedKind.NOT_VALIDATED: "while not valid",
    NeedKind.USE_LEFT: "counted",
    NeedKind.IO_KEY: "IO key {slot}",
    NeedKind.IN_TEMP_KEY: "into TempKey",
    NeedKind.IN_SLOT: "into {slot}",
    NeedKind.ECDH_BY: "with {slot}",
}
"""Needs in few words. GenKey's digest and OtherData are steps of a command, which anyone can take."""


@dataclass(frozen=True)
class Cell:
    """One answer: who, and how in few words, for instance `encrypted (key 4)`."""

    access: Access
    words: str


@dataclass(frozen=True)
class SlotAccess:
    """One slot at the four moments; `uses` has what the rehearsal found, `cells` what is drawn of it."""

    uses: Mapping[Moment, SlotUses]
    cells: Mapping[Right, tuple[Cell, ...]]

    @property
    def lockable(self) -> bool:
        """Whether the slot can be locked one by one."""
        return LOCKED_ALONE in self.uses[Moment.DATA_LOCKED]


def access_of(rehearsal: Rehearsal) -> tuple[SlotAccess, ...]:
    """Return what may be done with each of the 16 slots at each moment."""
    blank = uses_of(_before_config_lock(rehearsal.open_chip))
    found = rehearsal.by_slot()
    return tuple(
        _slot_access(
            {
                Moment.BLANK: _of_slot(blank, slot.slot),
                Moment.CONFIGURED: slot.before,
                Moment.DATA_LOCKED: slot.after,
                Moment.SLOT_LOCKED: _after_slot_lock(rehearsal.locked_chip, slot.slot, slot.after),
            }
        )
        for slot in found
    )


def _before_config_lock(open_chip: TrialChip) -> TrialChip:
    trial = open_chip.fork()
    trial.chip.memory.config[LOCK_CONFIG] = UNLOCKED
    return trial


def _of_slot(uses: Uses, number: int) -> SlotUses:
    return {use: slots[number] for use, slots in uses.items() if number in slots}


def _after_slot_lock(locked_chip: TrialChip, number: int, before: SlotUses) -> SlotUses:
    trial = locked_chip.fork()
    if not trial.does(Opcode.LOCK, LOCK_SLOT | number << LOCK_SLOT_SHIFT):
        return before
    tried = {use: needs_of(trial, use, number) for words in WORDS.values() for use in words}
    return {use: needs for use, needs in tried.items() if needs is not None}


def _slot_access(uses: Mapping[Moment, SlotUses]) -> SlotAccess:
    public = any("read in clear" in found for found in uses.values())
    left_out = _SECRET_USES if public else frozenset()
    cells = {right: tuple(_cell(uses[moment], words, left_out) for moment in Moment) for right, words in WORDS.items()}
    return SlotAccess(uses, cells)


def _cell(uses: SlotUses, words: Mapping[str, str], left_out: frozenset[str]) -> Cell:
    found = [use for use in words if use in uses]
    groups: dict[str, list[str]] = {}
    for use in found:
        if use not in left_out:
            groups.setdefault(_conditions(uses[use]), []).append(words[use])
    if not groups:
        return Cell(Access.NONE, _PUBLIC_VALUE if found else "no")
    text = "; ".join(_group(condition, named) for condition, named in groups.items())
    return Cell(Access.FREE if "" in groups else Access.BOUND, text)


def _group(condition: str, words: Sequence[str]) -> str:
    symmetric = all(word in words for word in _SYMMETRIC)
    named = [word for word in words if not (symmetric and word in _SYMMETRIC)] + ["symmetric key"] * symmetric
    return ", ".join(named) + (f" ({condition})" if condition else "")


def _conditions(needs: Sequence[Need]) -> str:
    return ", ".join(_NEEDS[need.kind].format(slot=need.slot) for need in needs if need.kind in _NEEDS)
