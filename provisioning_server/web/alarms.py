"""What someone has to do something about, most urgent first. Shown on the overview and counted on every page."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.terminal.printable import printable
from provisioning_server.operations.standing_warnings import StandingWarning, Subject
from provisioning_server.web.health import Health, notice
from provisioning_server.web.views import SignerState, SignerView


class Urgency(enum.StrEnum):
    """How urgent it is."""

    STOPPED = "stopped"
    """Boards are not served."""
    SOON = "soon"
    """They will not be, or something else is wrong."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm; `page` is the path of the page that shows more."""

    urgency: Urgency
    text: str
    page: str


_OF_SIGNER: Final = {
    SignerState.QUARANTINED: Urgency.STOPPED,
    SignerState.USED_UP: Urgency.STOPPED,
    SignerState.WAITING: Urgency.STOPPED,
}
_PAGES: Final = {
    Subject.RECORDS: "/audit",
    Subject.CERTIFICATES: "/certificates",
    Subject.SIGNERS: "/signers",
    Subject.ORDERS: "/orders",
    Subject.STATIONS: "/stations",
    Subject.SERVER: "/overview",
}


def signer_alarms(views: Sequence[SignerView]) -> list[Alarm]:
    """Return which signers do not issue; one that was unplugged is not an alarm, as it is done on purpose."""
    found = []
    for view in views:
        urgency = _OF_SIGNER.get(view.state)
        if urgency is not None:
            found.append(Alarm(urgency, f"{view.name}: {view.headline}. {view.detail}".strip(), "/signers"))
    return found


class AlarmBoard:
    """Collects the alarms of all parts. Its methods run on the event loop and read nothing from a disk."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[Alarm]]] = []

    def add(self, source: Callable[[], Iterable[Alarm]]) -> None:
        """Ask a further part of the server for its alarms."""
        self._sources.append(source)

    def alarms(self) -> list[Alarm]:
        """Return all alarms, most urgent first."""
        return most_urgent_first([alarm for source in self._sources for alarm in source()])

    def count(self) -> int:
        """Return how many there are."""
        return sum(1 for source in self._sources for _ in source())


def health_alarms(health: Health) -> list[Alarm]:
    """Return what stops issuing, if the health check says it and no signer's card does."""
    text = notice(health) if health.status == "failing" else ""
    return [Alarm(Urgency.STOPPED, text, "/audit")] if text else []


def warning_alarms(warnings: Sequence[StandingWarning]) -> list[Alarm]:
    """Return the warnings that stand as alarms."""
    return [Alarm(Urgency.SOON, printable(each.text), _PAGES[each.subject]) for each in warnings]


def most_urgent_first(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Return alarms in the order in which they are shown."""
    return sorted(alarms, key=lambda alarm: list(Urgency).index(alarm.urgency))
