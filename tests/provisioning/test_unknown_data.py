"""Data of an unknown program in an open data zone is found before stage 1, where the chip tells it by a MAC."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import (
    Act,
    Board,
    Code,
    Device,
    EmulatedHal,
    Profile,
    Provisioner,
    ProvisioningError,
    SoftwareChip,
    Stage,
    StageStatus,
    TransportError,
)
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.zones.config_zone import lock_config, write_config
from atcaprov.emulator.open_points import OpenPoints
from tests.support.in_memory_server import InMemory, MemoryCa

pytestmark = pytest.mark.slow

SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


class PlainFunctions(InMemory):
    """Functions of a product that writes no data of its own."""

    @property
    def writes_data_zone(self) -> bool:
        return False


def write_secret(device: Device, slot: int = 10, content: bytes = SECRET) -> None:
    """Configure a blank chip for the product and write something, as another program does."""
    with device.permit(Act.WRITE_CONFIG, Act.LOCK_CONFIG):
        lock_config(device, write_config(device, device.read_config(), DEFAULT_608A))
    with device.permit(Act.WRITE_DATA):
        device.write_slot_block(slot, 0, content)


def with_secret(url: str, slot: int) -> None:
    with Device.open(url) as device:
        write_secret(device, slot)


def provision(url: str, functions: InMemory, profile: Profile | None = None) -> None:
    with Device.open(url) as device:
        Provisioner(profile or Profile(), functions.authority.cert_info, functions).provision(device)


def refused(chip: Path, functions: InMemory) -> ProvisioningError:
    before = chip.read_bytes()
    with pytest.raises(ProvisioningError) as caught:
        provision(f"emulator:{chip}", functions)
    assert chip.read_bytes() == before, "nothing may be changed"
    return caught.value


@pytest.mark.parametrize("slot", [5, 8, 10, 12, 15])
def test_unknown_data_is_found_before_stage_1(authority: MemoryCa, tmp_path: Path, slot: int) -> None:
    chip = tmp_path / "chip.json"
    with_secret(f"emulator:{chip}", slot)
    functions = PlainFunctions(authority)
    error = refused(chip, functions)
    assert (error.code, error.board, error.stage) == (Code.DATA_UNKNOWN, Board.SET_ASIDE, None)
    assert f"it holds data in slot {slot} that" in error.what
    assert functions.notices == []
    provision(f"emulator:{chip}", functions, Profile(fill_unwritten=True))


def test_zeros_where_a_certificate_goes_are_no_data(authority: MemoryCa, tmp_path: Path) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    with Device.open(url) as device:
        write_secret(device, 10, bytes(32))
    provision(url, PlainFunctions(authority))


def test_a_certificate_of_another_server_is_not_overwritten(authority: MemoryCa, tmp_path: Path) -> None:
    """Another server's run was cut between stages 6 and 8; this server knows nothing of it."""
    chip = tmp_path / "chip.json"
    other = PlainFunctions(MemoryCa())
    _cut_before_the_data_lock(f"emulator:{chip}", other)
    error = refused(chip, PlainFunctions(authority))
    assert error.code == Code.DATA_UNKNOWN
    assert "it holds data in slots 10, 12 that" in error.what
    provision(f"emulator:{chip}", PlainFunctions(other.authority))  # the one that began finishes it


def test_what_the_product_writes_itself_is_judged_by_stage_8(authority: MemoryCa, tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    with_secret(f"emulator:{chip}", 5)
    functions = InMemory(authority)
    functions.write = lambda writer: writer.write(5, 0, SECRET)
    provision(f"emulator:{chip}", functions)


def test_a_chip_that_gives_no_mac_before_the_data_lock_is_not_judged(authority: MemoryCa) -> None:
    chip = SoftwareChip(open_points=OpenPoints(data_open_use=False))
    with Device(EmulatedHal(chip, "emulator:")) as device:
        write_secret(device)
        Provisioner(Profile(), authority.cert_info, PlainFunctions(authority)).provision(device)


def test_a_blank_chip_is_asked_for_no_mac(authority: MemoryCa, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    with Device.open("emulator:", trace=trace) as device:
        Provisioner(Profile(), authority.cert_info, PlainFunctions(authority)).provision(device)
    assert "Mac" not in trace.read_text()


def _cut_before_the_data_lock(url: str, functions: InMemory) -> None:
    class Cut(PlainFunctions):
        def notify(self, stage: Stage, status: StageStatus) -> None:
            if (stage, status) == (Stage.DATA_WRITE, StageStatus.START):
                raise TransportError("The cable fell out.")

    with pytest.raises(TransportError):
        provision(url, Cut(functions.authority))
