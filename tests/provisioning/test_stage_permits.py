"""What may change a chip: each stage its own acts, and nothing between the stages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atcaprov import Act, Code, Device, EmulatedHal, Profile, Provisioner, SoftwareChip, Stage, StageStatus, UsageError
from atcaprov.device.command_guard import act_of
from atcaprov.provisioning.stage_permits import PERMITS
from tests.support.in_memory_server import InMemory, MemoryCa

DURING: dict[Stage, set[Act]] = {
    Stage.CONFIG_WRITE: {Act.WRITE_CONFIG},
    Stage.CONFIG_LOCK: {Act.LOCK_CONFIG},
    Stage.GEN_KEY: {Act.CREATE_KEY},
    Stage.CERTS_WRITE: {Act.WRITE_DATA},
    Stage.DATA_LOCK: {Act.LOCK_DATA},
    Stage.SLOTS_LOCK: {Act.LOCK_SLOT},
}


class Watched(InMemory):
    """Knows the stage under way, and does something when a stage has begun or ended."""

    def __init__(self, authority: MemoryCa) -> None:
        super().__init__(authority)
        self.stage: Stage | None = None
        self.told: Callable[[Stage, StageStatus], None] = lambda stage, status: None

    def notify(self, stage: Stage, status: StageStatus) -> None:
        self.stage = stage if status is StageStatus.START else None
        self.told(stage, status)


class WatchedHal(EmulatedHal):
    """Keeps each act that reaches the chip, with the stage that was under way."""

    def __init__(self, functions: Watched) -> None:
        super().__init__(SoftwareChip(), "emulator:")
        self.acts: set[tuple[Stage | None, Act]] = set()
        self._functions = functions

    def exchange(self, packet: bytes) -> bytes:
        act = act_of(packet)
        if act is not None:
            self.acts.add((self._functions.stage, act))
        return super().exchange(packet)


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


def test_each_stage_changes_the_chip_in_its_own_way_only(authority: MemoryCa) -> None:
    functions = Watched(authority)
    hal = WatchedHal(functions)
    with Device(hal) as device:
        Provisioner(Profile(slots_to_lock=(13,)), authority.cert_info, functions).provision(device)
    assert hal.acts == {(stage, act) for stage, acts in DURING.items() for act in acts}
    assert all(acts <= set(PERMITS[stage]) for stage, acts in DURING.items())


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("status", [StageStatus.START, StageStatus.DONE])
def test_notify_cannot_change_the_chip(authority: MemoryCa, stage: Stage, status: StageStatus) -> None:
    functions = Watched(authority)
    refused: list[str] = []
    with Device(EmulatedHal(SoftwareChip(), "emulator:")) as device:

        def lock_at(at: Stage, how: StageStatus) -> None:
            if (at, how) != (stage, status):
                return
            for act in (
                lambda: device.lock_slot(13),
                lambda: device.gen_key(2),
                lambda: device.write_config(5, bytes(4)),
            ):
                with pytest.raises(UsageError) as held_back:
                    act()
                refused.append(held_back.value.code)

        functions.told = lock_at
        Provisioner(Profile(slots_to_lock=(14,)), authority.cert_info, functions).provision(device)
    assert refused == [Code.READ_ONLY] * 3
