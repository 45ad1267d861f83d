"""What someone should look at while the server goes on: one list for health check, page, metrics and status."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from atcaprov.errors import Code


class Subject(enum.StrEnum):
    """What a warning is about."""

    RECORDS = "records"
    CERTIFICATES = "certificates"
    SIGNERS = "signers"
    ORDERS = "orders"
    STATIONS = "stations"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class StandingWarning:
    """A warning that stands until its cause is gone; `text` is one or more sentences for people."""

    code: Code
    subject: Subject
    text: str
    degrades: bool = True
    """Whether the health check tells it: not what any computer on the network can cause."""


class StandingWarnings:
    """Asks all parts of the server. Its sources read nothing from a disk; they may be asked by any thread."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[StandingWarning]]] = []

    def add(self, code: Code, subject: Subject, source: Callable[[], Iterable[str]], *, degrades: bool = True) -> None:
        """Ask a further part for its sentences; empty ones are none."""
        self._sources.append(
            lambda: (StandingWarning(code, subject, text, degrades=degrades) for text in source() if text)
        )

    def now(self) -> list[StandingWarning]:
        """Return all that stand, in the order in which their sources were added."""
        return [warning for source in self._sources for warning in source()]
