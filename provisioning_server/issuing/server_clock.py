"""Checks whether the server's clock can be right: by the signer's certificate, the definition's years and the records.

A certificate with a wrong date is permanently on its chip when someone notices. So a signer issues nothing while the
clock cannot be right, and clients hear that before they touch a chip.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from atcaprov.certs.dates import CLOCK_TOLERANCE
from atcaprov.log import Log
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.ledger.changes import Changes, ClockAccepted
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.signer_documents import SignerDocuments

STEP_TOLERATED: Final = timedelta(minutes=1)
"""How far a clock may be set back by those who keep it right (NTP) before its records speak against it."""


class ServerClock:
    """The server's clock, `now` in UTC, and `newest`: the time of the newest record that counts, if there is one."""

    def __init__(self, now: Callable[[], datetime], newest: Callable[[], datetime | None]) -> None:
        self.now = now
        self._newest = newest

    def doubt(self, documents: SignerDocuments | None) -> ErrorReply | None:
        """Return why a signer with these documents may not issue at this moment; None if it may.

        Without documents: why no signer may.
        """
        now = self.now()
        what = self._before_records(now) or (_outside(documents, now) if documents is not None else "")
        return rejections.server_clock(now, what) if what else None

    def before_records(self) -> str:
        """Return why the clock is wrong for all signers; empty if it is not."""
        return self._before_records(self.now())

    def is_future(self, begin: datetime) -> bool:
        """Return whether clients would refuse a certificate that begins at a time as not yet valid."""
        return begin > self.now() + CLOCK_TOLERANCE

    def _before_records(self, now: datetime) -> str:
        newest = self._newest()
        if newest is None or now >= newest - STEP_TOLERATED:
            return ""
        return (
            f"its newest record is from {rejections.moment(newest)}. Correct the clock; if it is right, start"
            " the server once with --accept-clock REASON"
        )


def check_clock(clock: ServerClock, ledger: Ledger, reason: str | None, log: Log) -> None:
    """Log at the start if the clock is before the records, or accept it for a `reason`.

    Raises AtcaProvError RECORDS_FAILED when that cannot be recorded.
    """
    now, against = clock.now(), clock.before_records()
    if not against:
        if reason is not None:
            log.info("The clock is not before the newest record: nothing was accepted.")
    elif reason is None:
        log.error(f"No certificate is issued: the clock says {rejections.moment(now)}, but {against}.")
    else:
        newest = ledger.newest
        assert newest is not None
        ledger.commit(Changes(events=[ClockAccepted(now, newest, reason)]))
        log.warning(
            f"The clock was accepted: it says {rejections.moment(now)}, the newest record is from"
            f" {rejections.moment(newest)}. Reason: {reason}"
        )


def _outside(documents: SignerDocuments, now: datetime) -> str:
    first, last = documents.issue_years
    if documents.validity is not None:
        begin, end = documents.validity
        if now < begin - STEP_TOLERATED:
            return f"the signer's certificate begins on {rejections.moment(begin)}. Correct the clock"
        if now > end:
            return (
                f"the signer's certificate ended on {rejections.moment(end)}. Correct the clock; if it is right, make a"
                " new signer"
            )
    if not first <= now.year <= last:
        return (
            f"the signer's definition is for the years {first} to {last}. Correct the clock; if it is right, make a"
            " new signer"
        )
    return ""
