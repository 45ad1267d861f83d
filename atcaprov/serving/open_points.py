"""What a part's answers say about the open points of the software chip (`atcaprov.emulator.switches`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from atcaprov.emulator.switches import Switches
from atcaprov.serving.dialogue import Dialogue

UNDECIDED: Final = None
"""The answers fit no reading, or the part in its state has none to give."""
Ask = Callable[[Dialogue], Any]
"""Asks the part and returns the value of the switch that its answers show, or UNDECIDED."""


RULES: Final = MappingProxyType(
    {
        "verify_stored_authorizes": True,
        "refused_use_counts": False,
        "mac_takes_key_id_above_15": True,
        "checkmac_otp_bit": "refuse",
    }
)
"""What the data sheet of the ATECC508A settles, so that there is no switch, and nobody has shown of an ATECC608."""


@dataclass(frozen=True)
class Question:
    """One open point, by the name of its switch or rule, and how to ask for it."""

    switch: str
    ask: Ask


@dataclass(frozen=True)
class Reading:
    """What a part was found to do at an open point."""

    switch: str
    value: Any

    @property
    def expected(self) -> Any:
        """How the software chip is set."""
        return RULES[self.switch] if self.switch in RULES else getattr(Switches(), self.switch)

    def text(self) -> str:
        """Return it as a line for people."""
        if self.value is UNDECIDED:
            return f"{self.switch:<34}undecided"
        shown = f"{self.switch:<34}{_shown(self.value)}"
        return shown if self.value == self.expected else f"{shown}, not {_shown(self.expected)}"


def put(dialogue: Dialogue, questions: Iterable[Question]) -> list[Reading]:
    """Put the questions, each to a part that has forgotten the one before."""
    readings = []
    for question in questions:
        dialogue.forget()
        readings.append(Reading(question.switch, question.ask(dialogue)))
    dialogue.forget()
    return readings


def _shown(value: Any) -> str:
    """Show a status as the pages do."""
    return f"{value:02X}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
