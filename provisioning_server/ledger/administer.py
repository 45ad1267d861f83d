"""What a person decides is written to the ledger: by the server that has it, in its next step, or in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provisioning_server.ledger.changes import Changes, Event
from provisioning_server.ledger.store import Ledger

Decide = Callable[[Ledger], Sequence[Event]]
"""Look at the ledger and return the events; raises AtcaProvError if that may not be. Nobody writes in between, but for
another server on the same ledger."""
Written = Sequence[int | None]
"""The entry of each event; None for one that changed nothing, because another server was faster."""


def administer(ledger: Ledger, decide: Decide) -> Written:
    """Decide and write at once, where no server has the ledger; raises AtcaProvError."""
    events = list(decide(ledger))
    if not events:
        return ()
    committed = ledger.commit(Changes(events=events))
    index = committed.first_index
    written: list[int | None] = []
    for place in range(len(events)):
        written.append(None if place in committed.repeated else index)
        index += place not in committed.repeated
    return written
