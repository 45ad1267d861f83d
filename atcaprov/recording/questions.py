"""Questions to a real chip about the open points of the software chip (`atcaprov.emulator.open_points`)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from atcaprov.chip.commands import Opcode, Status
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.recording.dialogue import Dialogue

UNDECIDED: Final = None
"""No reading fits the answers, or the chip gives none in its present state."""
Ask = Callable[[Dialogue], Any]
"""Asks the chip and returns the value of the open point that its answers show, or UNDECIDED."""


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
    """What a chip does at an open point; `value` is a value of that point, or UNDECIDED."""

    name: str
    value: Any

    @property
    def point(self) -> str:
        """The name of the open point or rule."""
        return self.name.partition(".")[0]

    @property
    def expected(self) -> Any:
        """The value that the software chip has by default."""
        if self.point in RULES:
            return RULES[self.point]
        setting = getattr(OpenPoints(), self.point)
        return Opcode[self.name.partition(".")[2]] in setting if isinstance(setting, frozenset) else setting

    @property
    def agrees(self) -> bool:
        """Whether the chip does what the software chip does."""
        return self.value is not UNDECIDED and bool(self.value == self.expected)


def refusal(status: int | None) -> int | None:
    """Return the status byte of a refusal, or UNDECIDED if the chip did not answer or did what it was asked."""
    return UNDECIDED if status in (None, Status.SUCCESS) else status


def put(dialogue: Dialogue, questions: Iterable[Question], done: Container[str] = ()) -> Iterator[Reading]:
    """Ask the questions whose names are not in `done`; the chip sleeps before each and forgets the one before."""
    for question in questions:
        if question.name not in done:
            dialogue.forget()
            yield Reading(question.name, question.ask(dialogue))
    dialogue.forget()
