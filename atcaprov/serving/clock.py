"""A real clock for chips that are served from one thread: nobody waits inside it."""

from __future__ import annotations

import time

from atcaprov.emulator.timing import Clock


class ServedClock(Clock):
    """Real time at any speed, for one chip.

    Where a chip would wait, the clock runs ahead instead, so that the other chips of the process go on; `lag` says how
    long whoever asked has to be kept waiting until real time has caught up.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._start = time.monotonic()
        self._ahead = 0.0

    def now(self) -> float:
        """Return the chip's time in seconds."""
        return max(self._real(), self._ahead)

    def reached(self, moment: float) -> bool:
        """Return whether `moment` lies behind."""
        return self.now() >= moment

    def wait_until(self, moment: float) -> None:
        """Run ahead to `moment`."""
        self._ahead = max(self._ahead, moment)

    def lag(self) -> float:
        """Return how many seconds of real time are left until it has caught up."""
        return max(0.0, self._ahead - self._real()) / self._speed

    def _real(self) -> float:
        return (time.monotonic() - self._start) * self._speed


def lag(clock: Clock) -> float:
    """Return the lag of a served clock; a virtual clock has none."""
    return clock.lag() if isinstance(clock, ServedClock) else 0.0
