"""Readings that stop a flow: nothing is spoiled, and the error tells what becomes of the board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Board, Code, Device
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, UNLOCKED
from atcaprov.emulator.open_points import OpenPoints
from tests.open_points import flows
from tests.open_points.flows import FLOWS, World
from tests.open_points.stops import STOPS, Stop, held_for
from tests.support.open_point_combinations import Result, chip_under, run_combinations
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import PASSWORD, make, order, replug

STOPPED = [pytest.param(stop, flow, id=f"{stop.point}-{flow}") for stop in STOPS for flow in stop.flows]
DOCS = Path(__file__).parents[2] / "docs/reference/open-points.md"


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "flow"), STOPPED)
def test_flow_stops_under_every_reading_of_the_other_points(stop: Stop, flow: str, world: World) -> None:
    held = held_for(flow) | {stop.point: stop.value}
    results = run_combinations(lambda reading, _: FLOWS[flow](reading, world), held=held)
    assert {told(result) for result in results} == {(stop.code, Board.SET_ASIDE)}


def told(result: Result) -> tuple[str, Board]:
    assert isinstance(result.error, AtcaProvError), result
    return result.error.code, result.error.board


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.point)
def test_the_page_names_what_stops(stop: Stop) -> None:
    section = DOCS.read_text().split("## Readings that stop a run\n")[1].split("\n## ")[0]
    assert f"`{stop.point}={stop.value}`" in section
    assert f"`{stop.code}`" in section


def stopped(hal: ScriptedHal, run: Callable[[Device], object], code: Code) -> None:
    with Device(hal) as device:
        with pytest.raises(AtcaProvError) as refused:
            run(device)
        assert (refused.value.code, refused.value.board) == (code, Board.SET_ASIDE)
        config = device.read_config()
    assert config[LOCK_CONFIG] != UNLOCKED
    assert config[LOCK_VALUE] == UNLOCKED
    replug(hal)


@pytest.mark.slow
def test_board_whose_crc_covers_private_keys_keeps_its_key(world: World) -> None:
    hal = chip_under(OpenPoints(data_crc_private=True))
    for code in (Code.DATA_CRC_REFUSED, Code.DATA_UNKNOWN):  # when it comes again, it may have been elsewhere
        stopped(hal, lambda device: flows.provision(device, world), code)
    with Device(hal) as device:
        key = device.get_pubkey(0)
    hal.chip.chip.core.open_points = OpenPoints()  # type: ignore[attr-defined]
    with Device(hal) as device:
        flows.provision(device, world, fill_unwritten=True)
        assert device.get_pubkey(0) == key


@pytest.mark.slow
@pytest.mark.parametrize("flow", ["root", "request"])
def test_chip_that_does_not_sign_before_the_data_lock_can_be_a_signer_under_a_root_in_files(
    flow: str, world: World
) -> None:
    hal = chip_under(OpenPoints(data_open_use=False))
    path = world.new_folder()
    runs: dict[str, Callable[[Device], object]] = {
        "root": lambda device: flows.create_root(device, path),
        "request": flows.request,
    }
    stopped(hal, runs[flow], Code.CHIP_REFUSED)
    assert not path.exists()
    with Device(hal) as device:
        make(device, world.new_root(), order(quota=3))
    flows.use_up(hal, PASSWORD, 3)
