"""How long a chip takes for a wake and for a command, and when its watchdog puts it to sleep."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.execution_times import EXECUTION_TIMES_508A, ExecutionTimes, Times, execution_times_608
from atcaprov.chip.memory_map import CHIP_MODE
from atcaprov.emulator.core import Core
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.self_test import tests_at_power_on

WAKE_SECONDS: Final = 0.0015
TYPICAL_WAKE_SECONDS: Final = 0.0004
"""tDVC_INIT of the ATECC608C's summary data sheet, 3.3. The 1.5 ms (tWHI) are for the host to wait; drivers that wait
less, such as Adafruit's 1 ms, work with the parts."""
SELF_TEST_WAKE_SECONDS: Final = 0.020
"""With the power-on self test of the ATECC608 (ChipOptions bit 0; tWHIST of the ATECC608B-TFLXTLS data sheet, 9.3)."""
WATCHDOG_SECONDS: Final = 1.3
LONG_WATCHDOG_SECONDS: Final = 10.0
_LONG_WATCHDOG: Final = 0x04


def wake_seconds(core: Core, times: Times) -> float:
    """Return how long a chip takes from the wake pulse to its answer."""
    if tests_at_power_on(core):
        return SELF_TEST_WAKE_SECONDS
    return WAKE_SECONDS if times is Times.MAXIMUM else TYPICAL_WAKE_SECONDS


def execution_times(memory: Memory) -> ExecutionTimes:
    """Return how long the commands of a chip take."""
    return EXECUTION_TIMES_508A if memory.is_508 else execution_times_608(memory.config[CHIP_MODE])


def watchdog_seconds(memory: Memory) -> float:
    """Return for how long a chip stays awake."""
    return LONG_WATCHDOG_SECONDS if memory.config[CHIP_MODE] & _LONG_WATCHDOG else WATCHDOG_SECONDS
