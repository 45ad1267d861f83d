"""What a part's answers say about the open points of the software chip (`atcaprov.emulator.open_points`)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from atcaprov.chip.commands import Opcode, Status
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.recording.dialogue import Dialogue

UNDECIDED: Final = None
"""The answers fit no reading, or the part in its state has none to give."""
Ask = Callable[[Dialogue], Any]
"""Asks the part and returns the value of the open point that its answers show, or UNDECIDED."""


RULES: Final = MappingProxyType(
    {
        "verify_stored_authorizes": True,
        "refused_use_counts": False,
        "mac_takes_key_id_above_15": True,
        "checkmac_otp_bit": "refuse",
        "ecdh_mode_chooses_slot": True,
        "derive_key_mac_key": "write-key",
    }
)
"""What the data sheet of the ATECC508A settles, or the software chip always does; no source shows it for the 608."""


@dataclass(frozen=True)
class Question:
    """One open point and how to ask for it.

    The name is that of its open point or rule; where it is asked for in several ways, a full stop and the way follow.
    """

    name: str
    ask: Ask


@dataclass(frozen=True)
class Reading:
    """What a part was found to do at an open point."""

    name: str
    value: Any

    @property
    def point(self) -> str:
        """The name of the open point or rule."""
        return self.name.partition(".")[0]

    @property
    def expected(self) -> Any:
        """How the software chip is set."""
        if self.point in RULES:
            return RULES[self.point]
        setting = getattr(OpenPoints(), self.point)
        return Opcode[self.name.partition(".")[2]] in setting if isinstance(setting, frozenset) else setting

    @property
    def agrees(self) -> bool:
        """Whether the part does what the software chip does."""
        return self.value is not UNDECIDED and bool(self.value == self.expected)


def refusal(status: int | None) -> int | None:
    """Return the status with which a part has refused, or UNDECIDED if it gave no answer or did what it was asked."""
    return UNDECIDED if status in (None, Status.SUCCESS) else status


def put(dialogue: Dialogue, questions: Iterable[Question], done: Container[str] = ()) -> Iterator[Reading]:
    """Put the questions that are not done, each to a part that has forgotten the one before."""
    for question in questions:
        if question.name not in done:
            dialogue.forget()
            yield Reading(question.name, question.ask(dialogue))
    dialogue.forget()
