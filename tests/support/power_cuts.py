"""Power cuts at one command of a chip: before the chip gets it, or after the chip ran it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from atcaprov import AtcaProvError, Code, Device, ProvisioningError
from tests.support.scripted_hal import Answer, ScriptedHal
from tests.support.signer_modules import replug

at_a_command = pytest.mark.parametrize("reply_lost", [False, True], ids=["before the command", "after the command"])


class PowerCut(AtcaProvError):  # noqa: N818
    """The power was cut."""


def cutting(hal: ScriptedHal, cut: int, reply_lost: bool) -> Answer:
    """Return a function that answers for the chip up to the command number `cut`, counted from now."""
    before = len(hal.packets)

    def answer(packet: bytes) -> bytes:
        number = len(hal.packets) - before
        if number <= cut:
            return hal.chip.exchange(packet)
        if reply_lost and number == cut + 1:
            hal.chip.exchange(packet)
        raise PowerCut("cut")

    return answer


def commands(run: Callable[[Device], object], hal: ScriptedHal | None = None) -> int:
    """Return how many commands a run sends to a chip, a blank one if none is given."""
    hal = hal or ScriptedHal()
    before = len(hal.packets)
    with Device(hal) as device:
        run(device)
    return len(hal.packets) - before


def run_until_cut(run: Callable[[Device], object], cut: int, reply_lost: bool, hal: ScriptedHal) -> None:
    """Run up to the command number `cut`, or to the end of a shorter run.

    Certificates differ in length by a byte or two, and so does the number of blocks that are written.
    """
    before = len(hal.packets)
    hal.answer = cutting(hal, cut, reply_lost)
    with Device(hal) as device, suppress(PowerCut):
        run(device)
        assert len(hal.packets) - before <= cut
    hal.answer = None


def cut_and_repeat(
    run: Callable[[Device], object],
    cut: int,
    reply_lost: bool,
    hal: ScriptedHal | None = None,
    between: Callable[[ScriptedHal], object] = lambda _: None,
) -> ScriptedHal:
    """Run until the cut, look at the chip with `between`, then run again; return the chip."""
    hal = hal or ScriptedHal()
    run_until_cut(run, cut, reply_lost, hal)
    replug(hal)
    between(hal)
    with Device(hal) as device:
        try:
            run(device)
        except ProvisioningError as error:
            assert error.code == Code.DATA_LOCKED_OTHER  # noqa: PT017 - it was finished, only the reply was lost
    replug(hal)
    return hal
