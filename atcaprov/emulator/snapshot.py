"""Snapshots of a chip's whole state: to go back to it, or to try something on an independent copy."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from atcaprov.emulator.chip import Chip, Power
from atcaprov.emulator.memory import Zones
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.timing import VirtualClock
from atcaprov.emulator.volatile import Powered, Volatile


@dataclass(frozen=True)
class Snapshot:
    """The whole state of a chip. `image`: configuration, OTP and data zone."""

    image: Zones = field(repr=False)
    volatile: Volatile
    powered: Powered
    power: Power
    i2c_address: int


def snapshot(chip: Chip) -> Snapshot:
    """Return the chip's present state, which later commands do not change."""
    core = chip.core
    return Snapshot(chip.memory.image(), deepcopy(core.volatile), deepcopy(core.powered), chip.power, chip.i2c_address)


def restore(chip: Chip, state: Snapshot) -> None:
    """Put the chip back into a state, and its file if it has one. A chip that was awake then is as if just woken."""
    chip.memory.restore(state.image)
    chip.keeper.keep(chip.memory)
    chip.power_cycle()
    if state.power is Power.OFF:
        chip.power_off()
    elif state.power is not Power.ASLEEP:
        chip.wake()
        chip.idle() if state.power is Power.IDLE else None
    chip.core.volatile = deepcopy(state.volatile)
    chip.core.powered = deepcopy(state.powered)
    chip.i2c_address = state.i2c_address


def fork(chip: Chip, *, open_points: OpenPoints | None = None) -> Chip:
    """Return an independent copy of the chip, in memory only, on a virtual clock and without faults."""
    core = chip.core
    copy = Chip(
        deepcopy(chip.memory),
        random_source=deepcopy(core.random_source),
        open_points=open_points or core.open_points,
        clock=VirtualClock(chip.clock.now()),
        times=chip.times,
    )
    restore(copy, snapshot(chip))
    return copy
