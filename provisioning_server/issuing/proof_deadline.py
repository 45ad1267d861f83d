"""Watches that certificates are proven in time. What is late is warned about and shown; it never stops issuing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from atcaprov.errors import AtcaProvError
from atcaprov.log import Log
from provisioning_server.ledger.store import Ledger
from provisioning_server.log_names import device_text
from provisioning_server.rejections import moment

CHECK_SECONDS: Final = 60.0
"""How often the ledger is asked."""
COUNTED_MAX: Final = 1000
_UNITS: Final = (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class OverdueProofs:
    """Certificates without a proof although their time is over: how many, at most 1,000, and the oldest one."""

    number: int = 0
    oldest: str = ""
    """The chip and the time of the oldest one, for people."""

    @property
    def count_text(self) -> str:
        """How many, for people."""
        return f"{COUNTED_MAX:,} or more" if self.number >= COUNTED_MAX else str(self.number)


class ProofDeadline:
    """Asks the ledger for certificates that were issued longer ago than `within` and are not proven; None: never.

    `check` may be called by any thread, one at a time; `overdue` by all.
    """

    def __init__(self, ledger: Ledger, within: timedelta | None, clock: Callable[[], datetime], log: Log) -> None:
        """`clock` returns the time in UTC."""
        self.within: Final = "" if within is None else duration_text(within)
        self.overdue = OverdueProofs()
        self._ledger = ledger
        self._within = within
        self._clock = clock
        self._log = log

    async def watch(self) -> None:
        """Look again and again, beside the event loop; a ledger that has failed is not looked at any more."""
        while self._within is not None and not self._ledger.failed:
            try:
                await asyncio.to_thread(self.check)
            except AtcaProvError as error:
                self._log.error(f"Proofs that are late cannot be looked for: {error}")
                return
            await asyncio.sleep(CHECK_SECONDS)

    def check(self) -> None:
        """Look, and warn if there are more than before; raises AtcaProvError as the ledger."""
        if self._within is None:
            return
        late = self._ledger.unproven(self._clock() - self._within, 0, COUNTED_MAX)
        before = self.overdue
        oldest = f"{device_text(late[0].record.chip_serial)} from {moment(late[0].record.time)}" if late else ""
        self.overdue = OverdueProofs(len(late), oldest)
        if len(late) > before.number:
            self._log.warning(f"{self.sentence} 'provisioning-server ledger unproven' lists them.")
        elif before.number and not late:
            self._log.info(f"No certificate is without a proof for more than {self.within} any more.")

    @property
    def sentence(self) -> str:
        """What is late, for people; empty if nothing is."""
        overdue = self.overdue
        if not overdue.number:
            return ""
        if overdue.number == 1:
            return f"1 certificate is not proven after {self.within}, that of {overdue.oldest}."
        return f"{overdue.count_text} certificates are not proven after {self.within}, the oldest of {overdue.oldest}."


def duration_text(duration: timedelta) -> str:
    """Return a duration in whole seconds in its largest whole unit, such as `24h`, as it is typed."""
    seconds = int(duration.total_seconds())
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"
