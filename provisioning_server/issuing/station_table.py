"""Who was removed between asking and being answered: such a station gets nothing."""

from __future__ import annotations

from typing import Protocol

from atcaprov.wire.messages import ErrorReply
from provisioning_server.issuing.requests import ClientRequest


class StationTable(Protocol):
    """The stations that are admitted; asked by the thread that issues."""

    def refusal(self, name: str) -> ErrorReply | None:
        """Return why a station that was admitted when it asked gets nothing now; None if it does."""

    def remove(self, name: str) -> None:
        """Admit no certificate of a station from now on; the ledger follows."""


def removed_since(stations: StationTable | None, asked: ClientRequest) -> ErrorReply | None:
    """Return why the station of a request gets nothing now; None if it does, or is not known by name."""
    return stations.refusal(asked.station) if stations is not None and asked.station else None
