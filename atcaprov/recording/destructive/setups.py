"""The setups of chips that are given up: configuration, contents of the slots, and the questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from atcaprov.chip.memory_map import (
    CONFIG_SIZE,
    COUNTERS,
    I2C_ADDRESS,
    KEY_CONFIG,
    LOCK_CONFIG,
    RESERVED_608,
    SLOT_CONFIG,
    SLOT_LOCKED,
    USER_EXTRA,
)
from atcaprov.recording.destructive import first_questions, first_setup, second_questions, second_setup
from atcaprov.recording.questions import Question

_ITS_OWN: Final = frozenset(
    {
        *range(I2C_ADDRESS),
        *range(COUNTERS.start, COUNTERS.stop),
        *range(RESERVED_608.start, RESERVED_608.stop),
        *range(USER_EXTRA, LOCK_CONFIG + 1),
        *range(SLOT_LOCKED.start, SLOT_LOCKED.stop),
    }
)
"""Bytes that the setup does not choose, or that the questions change: they are not compared."""


@dataclass(frozen=True, eq=False)
class Setup:
    """How a chip is set up, and what it is asked while its data zone is open and after it is locked."""

    slots: Mapping[int, tuple[int, int]]
    """SlotConfig and KeyConfig."""
    fields: Mapping[int, int]
    """Other bytes of the configuration zone."""
    content: Callable[[int], bytes]
    """All bytes of a slot."""
    data_open: tuple[Question, ...]
    data_locked: tuple[Question, ...]
    reserved_bytes: bool = field(default=False, kw_only=True)
    """Whether a reserved byte that is not 0 is tried before the configuration lock."""

    def config(self, config: bytes) -> bytes:
        """Return the configuration zone, 128 bytes, that the questions need, made from the present one of a chip."""
        zone = bytearray(config)
        for slot, words in self.slots.items():
            for place, word in zip((SLOT_CONFIG, KEY_CONFIG), words, strict=True):
                zone[place + 2 * slot : place + 2 * slot + 2] = word.to_bytes(2, "little")
        for place, value in self.fields.items():
            zone[place] = value
        return bytes(zone)

    def is_on(self, config: bytes) -> bool:
        """Return whether a chip with this configuration zone has this setup."""
        wanted = self.config(config)
        return all(wanted[place] == config[place] for place in range(CONFIG_SIZE) if place not in _ITS_OWN)


FIRST: Final = Setup(
    first_setup.SLOTS,
    first_setup.FIELDS,
    first_setup.FirstSlots.content,
    first_questions.DATA_OPEN,
    first_questions.DATA_LOCKED,
)
SECOND: Final = Setup(
    second_setup.SLOTS,
    second_setup.FIELDS,
    second_setup.content,
    second_questions.DATA_OPEN,
    second_questions.DATA_LOCKED,
    reserved_bytes=True,
)
SETUPS: Final = {"1": FIRST, "2": SECOND}
