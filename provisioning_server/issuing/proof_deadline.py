"""Watches that certificates are proven in time. What is late is warned about and shown.

It stops issuing only for a station that leaves too many certificates unproven of a product that requires proofs.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from atcaprov.errors import AtcaProvError
from atcaprov.log import Log
from atcaprov.product_profile.profile import ProofPolicy, ProofRule
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.ledger.store import Ledger, StoredCertificate
from provisioning_server.log_names import device_text
from provisioning_server.rejections import moment

CHECK_SECONDS: Final = 60.0
"""How often the ledger is asked."""
_LOOK_AGAIN: Final = timedelta(seconds=1)
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
    """Asks the ledger for certificates that are not proven in time.

    Time is `within` since the issue (None: never late), unless a rule of the certificate's product says otherwise.
    `check` and `refusal` may be called by any thread; `overdue` too.
    """

    def __init__(
        self,
        ledger: Ledger,
        within: timedelta | None,
        clock: Callable[[], datetime],
        log: Log,
        rules: Callable[[], Mapping[str, ProofRule]] = dict,
    ) -> None:
        """`clock` returns the time in UTC, `rules` those of the products by their names."""
        self.within: Final = "" if within is None else duration_text(within)
        self.overdue = OverdueProofs()
        self._ledger = ledger
        self._within = within
        self._clock = clock
        self._log = log
        self._rules = rules
        self._left: Counter[tuple[str, str]] = Counter()
        """How many certificates of a product that requires proofs a station has left overdue."""
        self._lock = threading.Lock()
        self._checked: datetime | None = None
        self._by_rules = False
        self._seen_rules: Mapping[str, ProofRule] = {}
        self._first = 0
        """Log index before which no unproven certificate can become late under the rules that were seen."""

    async def watch(self) -> None:
        """Look again and again, beside the event loop; a ledger that has failed is not looked at any more."""
        while not self._ledger.failed:
            try:
                await asyncio.to_thread(self.check)
            except AtcaProvError as error:
                self._log.error(f"Proofs that are late cannot be looked for: {error}")
                return
            await asyncio.sleep(CHECK_SECONDS)

    def check(self) -> None:
        """Look, and warn if there are more than before; raises AtcaProvError as the ledger."""
        with self._lock:
            before = self.overdue
            self._look()
        if self.overdue.number > before.number:
            self._log.warning(f"{self.sentence} 'provisioning-server ledger unproven' lists them.")
        elif before.number and not self.overdue.number:
            ended = "is late" if self._by_rules else f"is without a proof for more than {self.within}"
            self._log.info(f"No certificate {ended} any more.")

    def refusal(self, station: str, product: str) -> ErrorReply | None:
        """Return the rejection of a new certificate, if the product requires proofs and the station owes too many.

        Looked at again at most once a second, so that a station that delivers its reports goes on at once. Clients
        without a certificate count as one station. Raises AtcaProvError as the ledger.
        """
        rule = self._rules().get(product)
        if rule is None or rule.policy is not ProofPolicy.REQUIRED:
            return None
        place = (station, product)
        if self._left[place] > rule.most_overdue:
            with self._lock:
                if self._checked is None or self._clock() - self._checked >= _LOOK_AGAIN:
                    self._look()
        left = self._left[place]
        if left <= rule.most_overdue:
            return None
        return rejections.proofs_overdue(station, product, left, rule)

    def _look(self) -> None:
        """Count again."""
        now, rules = self._clock(), self._rules()
        if rules != self._seen_rules:
            self._seen_rules, self._first = rules, 0
        self._checked = now
        self._by_rules = any(rule.policy is ProofPolicy.REQUIRED for rule in rules.values())
        number, oldest, left = 0, "", Counter[tuple[str, str]]()
        for stored, is_required in self._late(now, rules):
            oldest = oldest or f"{device_text(stored.record.chip_serial)} from {moment(stored.record.time)}"
            number += 1
            if is_required:
                left[stored.record.origin.station, stored.record.origin.product] += 1
        self._left = left
        self.overdue = OverdueProofs(min(number, COUNTED_MAX), oldest)

    def _late(self, now: datetime, rules: Mapping[str, ProofRule]) -> Iterator[tuple[StoredCertificate, bool]]:
        """Yield what is late, oldest first, and whether its product requires the proof."""
        limits = {name: self._limit(rule) for name, rule in rules.items()}
        possible = [limit for limit in (self._within, *limits.values()) if limit is not None]
        if not possible:
            return
        start, first = self._first, None
        while page := self._ledger.unproven(now - min(possible), start, COUNTED_MAX):
            for stored in page:
                product = stored.record.origin.product
                limit = limits.get(product, self._within)
                if limit is None or stored.revoked is not None:
                    continue
                first = stored.index if first is None else first
                if stored.record.time < now - limit:
                    yield stored, product in rules and rules[product].policy is ProofPolicy.REQUIRED
            start = page[-1].index + 1
            if not self._by_rules:
                break  # enough is counted to be shown
        self._first = start if first is None else first

    def _limit(self, rule: ProofRule) -> timedelta | None:
        if rule.policy is ProofPolicy.REQUIRED:
            return timedelta(hours=rule.within_hours)
        return self._within if rule.policy is ProofPolicy.OPTIONAL else None

    @property
    def sentence(self) -> str:
        """What is late, for people; empty if nothing is."""
        overdue = self.overdue
        when = "in time" if self._by_rules else f"after {self.within}"
        if not overdue.number:
            return ""
        if overdue.number == 1:
            return f"1 certificate is not proven {when}, that of {overdue.oldest}."
        return f"{overdue.count_text} certificates are not proven {when}, the oldest of {overdue.oldest}."


def duration_text(duration: timedelta) -> str:
    """Return a duration in whole seconds in its largest whole unit, such as `24h`, as it is typed."""
    seconds = int(duration.total_seconds())
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"
