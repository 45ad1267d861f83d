"""The plan for a TFLXTLS says what a run then does."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import Code, DeliveredPart, Device, Profile, Stage, StageStatus
from atcaprov.provisioning.stage_plan import StageState
from tests.provisioning.test_plan import Staged, planned, run_staged, shape
from tests.support.in_memory_server import MemoryCa, unreachable
from tests.support.scripted_hal import ScriptedHal

pytestmark = pytest.mark.slow

FLEX = Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True, slots_to_lock=(10, 12))


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.fixture
def url(tmp_path: Path) -> str:
    Device.open(f"emulator:{tmp_path / 'chip.json'}?image=tflxtls").close()
    return f"emulator:{tmp_path / 'chip.json'}"


@pytest.mark.parametrize("key_slot", [0, 3])
@pytest.mark.parametrize(
    "cut",
    [None, Stage.CONFIG_READ, Stage.CERTS_REQUEST, Stage.CERTS_WRITE, Stage.SLOTS_LOCK, Stage.VALIDATE_CERTS],
    ids=str,
)
def test_the_run_does_what_the_plan_says(url: str, cut: Stage | None, key_slot: int) -> None:
    authority = MemoryCa(private_key=key_slot)
    profile = Profile(
        part=DeliveredPart.TFLXTLS, device_key_slot=key_slot, replace_certificates=True, slots_to_lock=(10, 12)
    )
    if cut is not None:
        run_staged(url, authority, cut, profile)
    plan = planned(url, Staged(authority, ScriptedHal()), profile)
    assert plan.error is None
    done = run_staged(url, authority, profile=profile)
    assert plan.trial is not None
    for stage in Stage:
        told = [shape(packet) for packet in plan.trial.packets.get(stage, ())]
        assert told == [shape(packet) for packet in done.packets.get(stage, [])], stage
    skipped = {stage for stage, status in done.notices if status is StageStatus.SKIPPED}
    assert {each.stage for each in plan.stages if each.state is not StageState.TO_DO} == skipped


def test_what_becomes_permanent_is_listed(authority: MemoryCa, url: str) -> None:
    plan = planned(url, Staged(authority, ScriptedHal()), FLEX)
    assert not plan.makes_key
    assert [line.split(",")[0] for line in plan.permanent] == [
        "certificates that are on the part now",
        "slots locked one by one: 10",
    ]
    assert plan.lost[10]
    assert not plan.lost[8]


def test_a_new_key_loses_the_one_that_is_there(url: str) -> None:
    profile = Profile(part=DeliveredPart.TFLXTLS, device_key_slot=2, replace_certificates=True)
    plan = planned(url, Staged(MemoryCa(private_key=2), ScriptedHal()), profile)
    assert plan.makes_key
    assert any("key that is in slot 2 now is lost" in line for line in plan.permanent)


def test_without_consent_there_are_no_stages(authority: MemoryCa, url: str) -> None:
    plan = planned(url, Staged(authority, ScriptedHal()), Profile(part=DeliveredPart.TFLXTLS))
    assert plan.error is not None
    assert (plan.error.code, plan.stages) == (Code.CERTIFICATES_PRESENT, ())


@pytest.mark.parametrize("image", ["atecc608b", "tngtls"])
def test_another_chip_has_the_error_of_a_run(authority: MemoryCa, image: str) -> None:
    plan = planned(f"emulator:?image={image}", Staged(authority, ScriptedHal()), FLEX)
    assert plan.error is not None
    assert (plan.error.code, plan.stages) == (Code.WRONG_PART, ())


def test_without_a_server_the_part_is_not_taken_for_certified(authority: MemoryCa, url: str) -> None:
    functions = Staged(authority, ScriptedHal())
    functions.raw = unreachable
    plan = planned(url, functions, FLEX)
    assert plan.error is not None
    assert plan.error.code == Code.SERVER_UNREACHABLE
    assert plan.does(Stage.CERTS_WRITE)
