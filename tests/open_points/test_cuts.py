"""What was cut at any command is finished by the same again, under every reading of the chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from atcaprov import Device, UsageError
from signer_module.on_chip.creation.external_ca import ExternalRequest
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_change import change_password, set_password
from tests.open_points import flows
from tests.open_points.flows import NEW, World
from tests.open_points.stops import held_for
from tests.open_points.test_flows import failures
from tests.support.open_point_combinations import CutPlace, TrackedPoints, chip_under, run_combinations
from tests.support.power_cuts import commands, cut_and_repeat
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import PASSWORD, copy_of, make, no_pause, order, replug

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Begun:
    """A chip, what is done with it, the check of what a cut left, and the check of what came of it in the end."""

    hal: ScriptedHal
    run: Callable[[Device], object]
    check: Callable[[ScriptedHal], object]
    between: Callable[[ScriptedHal], object] = lambda _: None


def provisioning(reading: TrackedPoints, world: World) -> Begun:
    def run(device: Device) -> None:
        flows.provision(device, world)

    def check(hal: ScriptedHal) -> None:
        with Device(hal) as device:
            run(device)

    return Begun(chip_under(reading), run, check)


def root(reading: TrackedPoints, world: World) -> Begun:
    path = world.new_folder()

    def check(hal: ScriptedHal) -> None:
        with Device(hal) as device:
            flows.signs(flows.opened_root(device))

    return Begun(chip_under(reading), lambda device: flows.create_root(device, path), check)


def signer(reading: TrackedPoints, world: World) -> Begun:
    folder = world.new_root()
    return Begun(
        chip_under(reading),
        lambda device: make(device, folder, order(quota=1)),
        lambda hal: flows.use_up(hal, PASSWORD, 1),
    )


def request(reading: TrackedPoints, world: World) -> Begun:
    ca, asked = world.new_root(), list[ExternalRequest]()

    def check(hal: ScriptedHal) -> None:
        with Device(hal) as device:
            flows.import_signer(device, ca, asked[-1])
        flows.use_up(hal, PASSWORD, 3)

    return Begun(chip_under(reading), lambda device: asked.append(flows.request(device)), check)


def importing(reading: TrackedPoints, world: World) -> Begun:
    hal, ca = chip_under(reading), world.new_root()
    with Device(hal) as device:
        asked = flows.request(device)
    replug(hal)
    return Begun(
        hal,
        lambda device: flows.import_signer(device, ca, asked),
        lambda made: flows.use_up(made, PASSWORD, 3),
    )


def first_password(reading: TrackedPoints, world: World) -> Begun:
    def run(device: Device) -> None:
        module = SignerModule.on(device, no_pause)
        if not module.needs_password:
            set_password(module, PASSWORD)

    def check(hal: ScriptedHal) -> None:
        assert opens(hal, PASSWORD)
        assert not opens(hal, NEW)

    return Begun(made(reading, world, None), run, check)


def password_change(reading: TrackedPoints, world: World) -> Begun:
    def run(device: Device) -> None:
        change_password(SignerModule.on(device, no_pause), PASSWORD, NEW)

    def between(hal: ScriptedHal) -> None:
        assert opens(hal, PASSWORD) != opens(hal, NEW)

    def check(hal: ScriptedHal) -> None:
        assert opens(hal, NEW)
        assert not opens(hal, PASSWORD)

    return Begun(made(reading, world, PASSWORD), run, check, between)


def made(reading: TrackedPoints, world: World, password: bytes | None) -> ScriptedHal:
    """Return a module that was made on a chip of the reading."""
    hal = chip_under(reading)
    with Device(hal) as device:
        make(device, world.new_root(), order(password))
    replug(hal)
    return hal


def opens(hal: ScriptedHal, password: bytes) -> bool:
    """Tell whether a module takes a password and signs then."""
    with Device(copy_of(hal)) as device:
        module = SignerModule.on(device, no_pause)
        try:
            module.unlock(password)
        except UsageError:
            return False
        flows.signs(module)
        return True


CUT_FLOWS: Final[dict[Callable[[TrackedPoints, World], Begun], flows.Flow]] = {
    provisioning: flows.ten_stages,
    root: flows.signer_under_a_root_module,
    signer: flows.password_change,
    request: flows.signer_for_an_external_ca,
    importing: flows.signer_for_an_external_ca,
    first_password: flows.first_password,
    password_change: flows.password_change,
}
"""How each is begun, and the whole flow that it is part of."""


@pytest.mark.parametrize("begin", CUT_FLOWS, ids=lambda begin: begin.__name__)
def test_same_command_finishes_a_run_that_was_cut(begin: Callable[[TrackedPoints, World], Begun], world: World) -> None:
    def run(reading: TrackedPoints, cut: CutPlace) -> None:
        begun = begin(reading, world)
        begun.check(cut_and_repeat(begun.run, *cut, begun.hal, begun.between))

    whole = begin(TrackedPoints(), world)
    count = commands(whole.run, whole.hal)
    assert count > 8
    assert not failures(run_combinations(run, count, held_for(CUT_FLOWS[begin].__name__)))
