"""Self tests of the part, and the failure mode that a failed one leaves behind."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode, Status
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_protection import chip_options
from atcaprov.emulator.refusal import Refusal

_POWER_ON_SELF_TEST: Final = 0x0001


def power_on_failures(core: Core) -> int:
    """Return the tests that fail at power-on, as bits of SelfTest's P1; 0 if the option is off."""
    if core.memory.is_508 or not chip_options(core) & _POWER_ON_SELF_TEST:
        return 0
    return core.powered.failing_tests


def require_sound(core: Core, opcode: int) -> None:
    """Refuse (07) everything but SelfTest while the chip is in failure mode."""
    if core.powered.self_test_failed and opcode != Opcode.SELF_TEST:
        raise Refusal(Status.SELF_TEST_ERROR, "a self test has failed: only SelfTest runs")
