"""What someone has to do something about, most urgent first. Shown on the overview and counted on every page."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

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
    SignerState.LOW: Urgency.SOON,
}


def signer_alarms(views: Sequence[SignerView]) -> list[Alarm]:
    """Return what is wrong with signers; one that was unplugged is not an alarm, as it is done on purpose."""
    found = []
    for view in views:
        urgency = _OF_SIGNER.get(view.state)
        if urgency is not None:
            left = f", {view.remaining} left" if view.state == SignerState.LOW and view.remaining else ""
            found.append(Alarm(urgency, f"{view.name}: {view.headline}{left}. {view.detail}".strip(), "/signers"))
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
    """Return what the health check says that no signer's card does."""
    text = notice(health)
    urgency = Urgency.STOPPED if health.status == "failing" else Urgency.SOON
    return [Alarm(urgency, text, "/audit")] if text else []


def most_urgent_first(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Return alarms in the order in which they are shown."""
    return sorted(alarms, key=lambda alarm: list(Urgency).index(alarm.urgency))
