"""Watches what runs out: the quotas of signers and the work orders. It warns before; it never stops issuing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from atcaprov.errors import AtcaProvError
from atcaprov.log import Log
from atcaprov.program.console_text import counted
from provisioning_server.ledger.store import WorkOrder
from provisioning_server.log_names import label
from provisioning_server.orders.work_orders import certificates_left
from provisioning_server.signers.signer import Signer

CHECK_SECONDS: Final = 60.0
DEFAULT_ALARM: Final = 10
"""Percent of a quota or an order that are left when the alarm begins."""


@dataclass(frozen=True, slots=True)
class RunningOut:
    """A signer or a work order with few certificates left; `total` is None where only the signer's maker knew it."""

    name: str
    left: int
    total: int | None
    is_order: bool = False

    @property
    def sentence(self) -> str:
        """What is said of it, for people."""
        of = "" if self.total is None else f" of {self.total}"
        return f"{self.name} has {counted(self.left, 'certificate')}{of} left."


class QuotaAlarm:
    """Tells what runs out: at `percent` of a quota or an order, and less; 0: never.

    `check` may be called by any thread, one at a time; `running_out` by all. A work order that is done, closed or not
    begun does not run out.
    """

    def __init__(
        self,
        percent: int,
        signers: Callable[[], Iterable[Signer]],
        orders: Callable[[], Sequence[WorkOrder]],
        now: Callable[[], datetime],
        log: Log,
    ) -> None:
        """`now` returns the time in UTC."""
        self.running_out: tuple[RunningOut, ...] = ()
        """What runs out, for the health check, the page and metrics."""
        self._percent = percent
        self._signers = signers
        self._orders = orders
        self._now = now
        self._log = log

    async def watch(self) -> None:
        """Look again and again, beside the event loop; when the ledger has failed the last look stands."""
        while self._percent:
            try:
                await asyncio.to_thread(self.check)
            except AtcaProvError as error:
                self._log.error(f"Work orders that run out cannot be looked for: {error}")
                return
            await asyncio.sleep(CHECK_SECONDS)

    def check(self) -> None:
        """Look, and say once of each what it runs out of; raises AtcaProvError as the ledger."""
        if not self._percent:
            return
        before = {each.name for each in self.running_out}
        self.running_out = (*self._of_signers(), *self._of_orders())
        for each in self.running_out:
            if each.name not in before:
                self._log.warning(each.sentence)

    def sentences(self, *, orders: bool) -> list[str]:
        """Return which work orders run out, or which signers, for people."""
        return [each.sentence for each in self.running_out if each.is_order is orders]

    def _of_signers(self) -> Iterable[RunningOut]:
        for signer in self._signers():
            left = signer.remaining
            if left is None:
                continue
            used = signer.counter.used if signer.counter is not None else None
            total = None if used is None else used + left
            if self._few(left, total) or (total is None and signer.quota_low):
                yield RunningOut(label(signer.serial, signer.name), left, total)

    def _of_orders(self) -> Iterable[RunningOut]:
        now = self._now()
        for order in self._orders():
            left, opened = certificates_left(order), order.opened
            begun = opened.begins is None or opened.begins <= now
            ended = order.closed is not None or (opened.ends is not None and opened.ends <= now)
            if left and begun and not ended and self._few(left, opened.count):
                yield RunningOut(f"Work order '{opened.order}'", left, opened.count, is_order=True)

    def _few(self, left: int, total: int | None) -> bool:
        return total is not None and left * 100 <= total * self._percent
