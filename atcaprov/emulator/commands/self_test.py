"""SelfTest (77): a map of the tests that failed, 00 if none did."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import CommandSpec, require_length, require_p2
from atcaprov.emulator.core import Core


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


COMMAND: Final = CommandSpec(Opcode.SELF_TEST, 0x3F, _check, _execute)
