"""Counts the newest entries of the ledger for the plots, and then only those that come.

Nothing is counted twice, and a step takes at most so many entries: with millions of them the first looks at the page
show the counting go on, and none of them takes long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from provisioning_server.ledger.activity import LedgerActivity
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.web.figures.administered_state import AdministeredState, AdministrationReader
from provisioning_server.web.figures.hour_counts import HOURS_KEPT, HourCounts, hour_of

STEP: Final = 20_000
"""Entries that are counted at once."""
STEPS_AT_ONCE: Final = 5
REPORTS_BACK: Final = 200_000
"""Entries before the end, of which the reports are read at the start."""
_KEPT: Final = timedelta(hours=HOURS_KEPT)


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts at a moment. `complete` says whether all that is to be counted was."""

    hours: HourCounts = field(default_factory=HourCounts)
    size: int = 0
    complete: bool = False
    last_of_station: dict[str, datetime] = field(default_factory=dict)
    administered: AdministeredState = field(default_factory=AdministeredState)


class LedgerFollower:
    """Follows one ledger. One thread at a time."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` returns the time in UTC."""
        self._clock = clock
        self._hours = HourCounts()
        self._stations: dict[str, datetime] = {}
        self._next: int | None = None
        self._reports_from = 0
        self._administration = AdministrationReader(clock)

    def follow(self, ledger: SqlLedger) -> Counted:
        """Count some of what is new, and return all that is counted; raises AtcaProvError as the ledger."""
        size = ledger.head().size
        if self._next is None:
            self._begin(ledger, size)
        assert self._next is not None
        for _ in range(STEPS_AT_ONCE):
            if self._next < size:
                end = min(size, self._next + STEP)
                self._count(ledger.tables.activity(self._next, end, reports=end > self._reports_from))
                self._next = end
        self._hours.forget_before(hour_of(self._clock() - _KEPT))
        administered = self._administration.read(ledger)
        return Counted(self._hours.copy(), size, self._next >= size, dict(self._stations), administered)

    def _begin(self, ledger: SqlLedger, size: int) -> None:
        first = ledger.tables.first_index(self._clock() - _KEPT)
        self._next = size if first is None else first
        self._reports_from = max(0, size - REPORTS_BACK)

    def _count(self, activity: LedgerActivity) -> None:
        oldest = hour_of(self._clock() - _KEPT)
        for issued in activity.issued:
            if issued.hour >= oldest:
                self._hours.of(issued.hour).issued[issued.signer_serial] += issued.number
        for run in activity.runs:
            if run.hour >= oldest:
                count = self._hours.of(run.hour)
                count.fates[run.fate] += 1
                if run.code:
                    count.count_code(run.code)
        for name, last in activity.last_of_station:
            self._stations[name] = max(last, self._stations.get(name, last))
