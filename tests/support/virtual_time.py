"""One virtual time for several software chips, each driven by a thread of its own.

The time stands still while a chip that has work computes, and jumps to the earliest awaited moment once all of them
wait. So seconds count as if the chips were real, however long this machine takes. The time also stands still while it
is held, for work whose duration does not count.
"""

from __future__ import annotations

import threading

from atcaprov.emulator.timing import Clock
from tests.support.server import PATIENCE


class SharedTime(Clock):
    """The clock of all chips; `working` says how many of them have work."""

    def __init__(self) -> None:
        self._now = 0.0
        self._working = 1
        self._holds = 0
        self._awaited: dict[int, float] = {}
        self._changed = threading.Condition()

    def now(self) -> float:
        with self._changed:
            return self._now

    @property
    def is_virtual(self) -> bool:
        return True

    def reached(self, moment: float) -> bool:
        self.wait_until(moment)
        return True

    def wait_until(self, moment: float) -> None:
        me = threading.get_ident()
        with self._changed:
            self._awaited[me] = moment
            self._advance()
            assert self._changed.wait_for(lambda: self._now >= moment, PATIENCE), "virtual time stands still"
            del self._awaited[me]

    def set_working(self, chips: int) -> None:
        with self._changed:
            self._working = chips
            self._advance()

    def hold(self) -> None:
        with self._changed:
            self._holds += 1

    def release(self) -> None:
        with self._changed:
            self._holds -= 1
            self._advance()

    def _advance(self) -> None:
        ahead = [moment for moment in self._awaited.values() if moment > self._now]
        if not self._holds and ahead and len(ahead) >= self._working:
            self._now = min(ahead)
            self._changed.notify_all()
