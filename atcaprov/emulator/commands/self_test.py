"""SelfTest (77): a map of the tests that failed, 00 if none did; and the tests that the chip runs by itself.

A failed test leaves the chip in failure mode until it passes or the chip wakes. Source: SelfTest command, ATECC608
Trust parts (TNGTLS data sheet, 5.1.7).
"""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import CommandSpec, require_length, require_p2
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_protection import chip_options

_POWER_ON_SELF_TEST: Final = 0x0001
"""Bit 0 of ChipOptions."""


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    require_p2(p2, 0)


def _execute(core: Core, p1: int, _p2: int, _data: bytes) -> bytes:
    """Bits of P1 and of the answer: 0 RNG, 2 ECDSA, 3 ECDH, 4 AES, 5 SHA.

    P1 0 runs no test and answers the failures that stand; a test that passes takes its own bit from them.
    """
    powered = core.powered
    if not p1:
        return bytes((powered.self_test_failed,))
    failed = powered.failing_tests & p1
    powered.self_test_failed = powered.self_test_failed & ~p1 | failed
    return bytes((failed,))


def tests_at_power_on(core: Core) -> bool:
    """Return whether the chip tests itself at power-on and wake."""
    return not core.memory.is_508 and bool(chip_options(core) & _POWER_ON_SELF_TEST)


def power_on_failures(core: Core) -> int:
    """Return the tests that fail at a wake, as bits of SelfTest's P1; 0 if the option is off."""
    return core.powered.failing_tests if tests_at_power_on(core) else 0


COMMAND: Final = CommandSpec(Opcode.SELF_TEST, 0x3F, _check, _execute)
