"""What was offered to chips that are being made: places of work orders and of quotas.

Between the offer and the request for certificates a chip is configured permanently. Without a promise, boards that
start at once would all be offered the last place of an order, and all but one would be refused when it is too late.
Promises are in memory: another server on the ledger knows nothing of them, and the ledger decides in the end. Names of
units are not promised: the name of a board that failed early is given to the next one at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Final

PROMISE_SECONDS: Final = 60.0
"""A run asks for its certificates a few seconds after the offer; a board that was removed frees its place then."""
Limit = tuple[Hashable, int]
"""What is promised, and to how many chips it can be."""


class Promises:
    """The promises of one server. Used by one thread; `now` counts seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._of_chip: dict[bytes, tuple[float, Sequence[Hashable]]] = {}  # the oldest promise first
        self._holders: dict[Hashable, set[bytes]] = {}

    def give(self, chip_serial: bytes, limits: Sequence[Limit]) -> bool:
        """Promise a chip (9 bytes) one of each; False, and nothing is promised, if all of one are others' already."""
        self._end_old()
        self.end(chip_serial)
        if any(len(self._holders.get(what, ())) >= most for what, most in limits):
            return False
        if limits:
            self._of_chip[chip_serial] = self._now() + PROMISE_SECONDS, [what for what, _ in limits]
            for what, _ in limits:
                self._holders.setdefault(what, set()).add(chip_serial)
        return True

    def end(self, chip_serial: bytes) -> None:
        """Forget what a chip was promised: it has its certificate, or will not get one."""
        _, promised = self._of_chip.pop(chip_serial, (0.0, ()))
        for what in promised:
            holders = self._holders[what]
            holders.discard(chip_serial)
            if not holders:
                del self._holders[what]

    def _end_old(self) -> None:
        now = self._now()
        while self._of_chip:
            chip_serial, (until, _) = next(iter(self._of_chip.items()))
            if until > now:
                return
            self.end(chip_serial)
