"""Self tests of the part, and the failure mode that a failed one leaves behind until it passes or the chip wakes.

Source: SelfTest command, ATECC608 Trust parts (TNGTLS data sheet, 5.1.7).
"""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode, Status, Zone
from atcaprov.emulator.address import ZONE_BITS
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_protection import chip_options
from atcaprov.emulator.refusal import Refusal

_POWER_ON_SELF_TEST: Final = 0x0001


def tests_at_power_on(core: Core) -> bool:
    """Return whether the chip tests itself at power-on and wake."""
    return not core.memory.is_508 and bool(chip_options(core) & _POWER_ON_SELF_TEST)


def power_on_failures(core: Core) -> int:
    """Return the tests that fail by themselves at a wake, as bits of SelfTest's P1; 0 if the option is off."""
    return core.powered.failing_tests if tests_at_power_on(core) else 0


def require_sound(core: Core, packet: bytes) -> None:
    """Refuse (07) everything but SelfTest and Read of the configuration zone while the chip is in failure mode."""
    if not core.powered.self_test_failed or packet[1] == Opcode.SELF_TEST:
        return
    if packet[1] == Opcode.READ and packet[2] & ZONE_BITS == Zone.CONFIG:
        return
    raise Refusal(Status.SELF_TEST_ERROR, "a self test has failed: only SelfTest and reads of the configuration run")
