"""Time for the chip: virtual, where waiting costs nothing, or real, at full or another speed."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from atcaprov.chip.execution_times import Times
from atcaprov.errors import UsageError


class Clock(ABC):
    """Seconds since the clock was made."""

    @abstractmethod
    def now(self) -> float:
        """Return the time in seconds."""

    @property
    def is_virtual(self) -> bool:
        """Whether its time is an account of what commands take, and nobody waits for it."""
        return False

    @abstractmethod
    def reached(self, moment: float) -> bool:
        """Return whether `moment` has come; a virtual clock jumps there when it is asked."""

    @abstractmethod
    def wait_until(self, moment: float) -> None:
        """Return when `moment` has come."""


def parse_speed(text: str) -> float | None:
    """Return how many times as fast as real time a clock runs that `real` or a number names; None for `virtual`.

    Raises:
        UsageError: the text is none of these, or no number above 0.
    """
    if text == "virtual":
        return None
    try:
        speed = 1.0 if text == "real" else float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise UsageError(f"Unknown clock '{text}'.", advice="Write virtual, real, or a number above 0, such as 10.")
    return speed


def parse_times(text: str, speed: float | None) -> Times:
    """Return the times that `typical` or `maximum` names; "" stands for what fits a clock of `parse_speed`.

    Where nobody waits they are the maxima, so that what adds up is what a line has to reckon with; where a program
    waits with time limits of its own, the typical ones.

    Raises:
        UsageError: the text is none of these.
    """
    if not text:
        return Times.MAXIMUM if speed is None else Times.TYPICAL
    try:
        return Times(text)
    except ValueError:
        raise UsageError(f"Unknown times '{text}'.", advice="Write typical or maximum.") from None


class VirtualClock(Clock):
    """Time that passes only while somebody waits for it."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    @property
    def is_virtual(self) -> bool:
        """Return True."""
        return True

    def now(self) -> float:
        """Return the time in seconds."""
        return self._now

    def reached(self, moment: float) -> bool:
        """Jump to `moment` if it lies ahead."""
        if moment > self._now:
            self._now = moment
        return True

    def wait_until(self, moment: float) -> None:
        """Jump to `moment` if it lies ahead."""
        self.reached(moment)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class RealClock(Clock):
    """Real time; with a `speed` of 10, ten chip seconds pass in one."""

    def __init__(self, speed: float = 1.0) -> None:
        if not 0 < speed < float("inf"):
            raise ValueError("the speed of a clock is above 0")
        self._speed = speed
        self._start = time.monotonic()

    def now(self) -> float:
        """Return the chip's time in seconds."""
        return (time.monotonic() - self._start) * self._speed

    def reached(self, moment: float) -> bool:
        """Return whether `moment` lies behind."""
        return self.now() >= moment

    def wait_until(self, moment: float) -> None:
        """Sleep until `moment`."""
        while (left := moment - self.now()) > 0:
            time.sleep(left / self._speed)
