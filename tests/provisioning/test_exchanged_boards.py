"""A board that is exchanged in the middle of a run: nothing of the other one is written or locked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atcaprov import (
    AtcaProvError,
    Board,
    DataZoneWriter,
    DeliveredPart,
    Device,
    Profile,
    Provisioner,
    ProvisioningError,
    Stage,
    StageStatus,
)
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal

pytestmark = pytest.mark.slow

TFLXTLS = Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True, slots_to_lock=(10, 11, 12))
AFTER_STAGE_3 = [Stage.CONFIG_READ, Stage.GEN_KEY, Stage.CERTS_REQUEST, Stage.CERTS_WRITE, Stage.DATA_WRITE]


class Exchanging(InMemory):
    """Puts another chip into the fixture when a stage is done."""

    def __init__(self, authority: MemoryCa, hal: ScriptedHal, other: ScriptedHal, when: Stage | None) -> None:
        super().__init__(authority)
        self._hal, self._other, self._when = hal, other, when

    def notify(self, stage: Stage, status: StageStatus) -> None:
        super().notify(stage, status)
        if stage is self._when and status is StageStatus.DONE:
            self.exchange()

    def exchange(self) -> None:
        self._hal.chip.sleep()
        self._hal.chip = self._other.chip
        self._hal.chip.wake()


def refused(profile: Profile, functions: Exchanging, authority: MemoryCa, hal: ScriptedHal) -> AtcaProvError:
    before = functions._other.memory.image()
    with Device(hal) as device, pytest.raises(ProvisioningError, match="exchanged during the run") as error:
        Provisioner(profile, authority.cert_info, functions).provision(device)
    assert functions._other.memory.image() == before
    assert error.value.board == Board.RETRY
    return error.value


@pytest.mark.parametrize("key_slot", [0, 2])
@pytest.mark.parametrize("when", AFTER_STAGE_3)
def test_another_tflxtls_keeps_its_key_certificates_and_open_slots(when: Stage, key_slot: int) -> None:
    authority = MemoryCa(private_key=key_slot)
    hal, other = ScriptedHal("emulator:?image=tflxtls"), ScriptedHal("emulator:?image=tflxtls")
    functions = Exchanging(authority, hal, other, when)
    functions.write = lambda writer: None
    refused(replace(TFLXTLS, device_key_slot=key_slot), functions, authority, hal)


@pytest.mark.parametrize("when", AFTER_STAGE_3)
def test_a_board_with_an_open_data_zone_is_neither_written_nor_filled_nor_locked(when: Stage) -> None:
    authority = MemoryCa()
    hal, other = ScriptedHal(), ScriptedHal()
    begun = Exchanging(authority, other, other, None)
    begun.tamper = lambda reply: (_ for _ in ()).throw(KeyboardInterrupt) if hasattr(reply, "writes") else reply
    with Device(other) as device, pytest.raises(KeyboardInterrupt):
        Provisioner(Profile(), authority.cert_info, begun).provision(device)
    functions = Exchanging(authority, hal, other, when)
    functions.write = lambda writer: None
    refused(Profile(slots_to_lock=(8,)), functions, authority, hal)


@pytest.mark.parametrize("image", ["tflxtls", "atecc608a"])
def test_data_of_the_integrator_go_to_the_board_of_the_start_only(image: str) -> None:
    authority = MemoryCa()
    hal, other = ScriptedHal(f"emulator:?image={image}"), ScriptedHal(f"emulator:?image={image}")
    functions = Exchanging(authority, hal, other, None)

    def write(writer: DataZoneWriter) -> None:
        functions.exchange()
        writer.write(8, 0, b"of the first board")

    functions.write = write
    refused(TFLXTLS if image == "tflxtls" else Profile(), functions, authority, hal)
