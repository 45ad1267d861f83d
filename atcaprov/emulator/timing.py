"""The time of a chip: how long it takes, and clocks, virtual (waiting costs nothing) or real at any speed."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Final

from atcaprov.chip.execution_times import EXECUTION_TIMES_508A, ExecutionTimes, Times, execution_times_608
from atcaprov.chip.memory_map import CHIP_MODE
from atcaprov.emulator.commands.self_test import tests_at_power_on
from atcaprov.emulator.core import Core
from atcaprov.emulator.memory import Memory
from atcaprov.errors import UsageError

WAKE_SECONDS: Final = 0.0015
TYPICAL_WAKE_SECONDS: Final = 0.0004
"""tDVC_INIT of the ATECC608C's summary data sheet, 3.3. The 1.5 ms (tWHI) are for the host to wait; drivers that wait
less, such as Adafruit's 1 ms, work with real chips."""
SELF_TEST_WAKE_SECONDS: Final = 0.020
"""With the power-on self test of the ATECC608 (ChipOptions bit 0; tWHIST of the ATECC608B-TFLXTLS data sheet, 9.3)."""
WATCHDOG_SECONDS: Final = 1.3
LONG_WATCHDOG_SECONDS: Final = 10.0
_LONG_WATCHDOG: Final = 0x04


class Clock(ABC):
    """Seconds since the clock was made."""

    @abstractmethod
    def now(self) -> float:
        """Return the time in seconds."""

    @property
    def is_virtual(self) -> bool:
        """Whether its time only adds up what commands take, and waiting takes no real time."""
        return False

    @abstractmethod
    def reached(self, moment: float) -> bool:
        """Return whether `moment` has come; a virtual clock jumps to it."""

    @abstractmethod
    def wait_until(self, moment: float) -> None:
        """Wait until `moment` has come."""


class VirtualClock(Clock):
    """A clock whose time passes only when someone waits for it."""

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
        """Jump to `moment` if it is in the future."""
        if moment > self._now:
            self._now = moment
        return True

    def wait_until(self, moment: float) -> None:
        """Jump to `moment` if it is in the future."""
        self.reached(moment)

    def advance(self, seconds: float) -> None:
        """Advance the time by `seconds`."""
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
        """Return whether `moment` is in the past."""
        return self.now() >= moment

    def wait_until(self, moment: float) -> None:
        """Sleep until `moment`."""
        while (left := moment - self.now()) > 0:
            time.sleep(left / self._speed)


def parse_speed(text: str) -> float | None:
    """Return the speed of a clock, in chip seconds per second, from `real` or a number; None for `virtual`.

    Raises:
        UsageError: the text is none of these, or not above 0.
    """
    if text == "virtual":
        return None
    try:
        speed = 1.0 if text == "real" else float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise UsageError(f"Unknown clock '{text}'.", advice="Use virtual, real, or a number above 0, such as 10.")
    return speed


def parse_times(text: str, speed: float | None) -> Times:
    """Return the times for `typical` or `maximum`; "" means those that fit a clock with this `speed`.

    They are the maxima on a virtual clock, so that the sum is what a production line must allow for; on a real clock
    the typical times, because a program waits there, with time limits of its own.

    Raises:
        UsageError: the text is none of these.
    """
    if not text:
        return Times.MAXIMUM if speed is None else Times.TYPICAL
    try:
        return Times(text)
    except ValueError:
        raise UsageError(f"Unknown times '{text}'.", advice="Use typical or maximum.") from None


def wake_seconds(core: Core, times: Times) -> float:
    """Return the seconds from the wake pulse to the wake answer."""
    if tests_at_power_on(core):
        return SELF_TEST_WAKE_SECONDS
    return WAKE_SECONDS if times is Times.MAXIMUM else TYPICAL_WAKE_SECONDS


def execution_times(memory: Memory) -> ExecutionTimes:
    """Return how long the commands of a chip take, in milliseconds."""
    return EXECUTION_TIMES_508A if memory.is_508 else execution_times_608(memory.config[CHIP_MODE])


def watchdog_seconds(memory: Memory) -> float:
    """Return how many seconds a chip stays awake."""
    return LONG_WATCHDOG_SECONDS if memory.config[CHIP_MODE] & _LONG_WATCHDOG else WATCHDOG_SECONDS
