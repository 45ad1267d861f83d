"""Chips that another program has written or locked before the run: nothing is overwritten without permission."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import Act, Board, Code, Device, Profile, Provisioner, ProvisioningError, TransportError
from atcaprov.chip.memory_map import LOCK_VALUE, LOCKED, SLOT_SIZES, UNLOCKED
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.zones.config_zone import lock_config, write_config
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.state_file import StateFile
from tests.support.in_memory_server import InMemory, MemoryCa

SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


def earlier_station(url: str, act: Callable[[Device], None]) -> None:
    """Configure a blank chip for the product and do something with it, as the program of another station does."""
    with Device.open(url) as device:
        with device.permit(Act.WRITE_CONFIG, Act.LOCK_CONFIG):
            lock_config(device, write_config(device, device.read_config(), DEFAULT_608A))
        with device.permit(Act.WRITE_DATA, Act.CREATE_KEY, Act.LOCK_SLOT):
            act(device)


def provision(url: str, authority: MemoryCa, profile: Profile | None = None) -> None:
    with Device.open(url) as device:
        Provisioner(profile or Profile(), authority.cert_info, InMemory(authority)).provision(device)


def refused(url: str, authority: MemoryCa, profile: Profile | None = None) -> ProvisioningError:
    with pytest.raises(ProvisioningError) as caught:
        provision(url, authority, profile)
    return caught.value


def load_memory(chip: Path) -> Memory:
    memory = StateFile(chip).load()
    assert memory is not None
    return memory


def content(chip: Path, slot: int) -> bytes:
    start = sum(SLOT_SIZES[:slot])
    return bytes(load_memory(chip).data[start : start + SLOT_SIZES[slot]])


@pytest.fixture
def chip(tmp_path: Path) -> Path:
    return tmp_path / "chip.json"


def test_a_secret_of_the_product_is_not_overwritten(authority: MemoryCa, chip: Path) -> None:
    earlier_station(f"emulator:{chip}", lambda device: device.write_slot_block(5, 0, SECRET))
    error = refused(f"emulator:{chip}", authority)
    assert (error.code, error.board) == (Code.DATA_UNKNOWN, Board.SET_ASIDE)
    assert "slot 5, slot 6, slot 7, slot 8, slot 9, slot 13, slot 14, slot 15, OTP" in error.what
    assert content(chip, 5)[:32] == SECRET
    assert load_memory(chip).config[LOCK_VALUE] == UNLOCKED


def test_one_time_bytes_of_the_product_are_not_overwritten(authority: MemoryCa, chip: Path) -> None:
    earlier_station(f"emulator:{chip}", lambda device: device.write_otp_block(1, SECRET))
    assert refused(f"emulator:{chip}", authority).code == Code.DATA_UNKNOWN
    assert bytes(load_memory(chip).otp[32:]) == SECRET


@pytest.mark.slow
def test_unknown_data_is_overwritten_on_request(authority: MemoryCa, chip: Path) -> None:
    earlier_station(f"emulator:{chip}", lambda device: device.write_slot_block(5, 0, SECRET))
    provision(f"emulator:{chip}", authority, Profile(fill_unwritten=True))
    assert content(chip, 5)[:32] == b"\xff" * 32
    assert load_memory(chip).config[LOCK_VALUE] == LOCKED


def test_a_run_that_writes_the_same_itself_needs_no_permission(authority: MemoryCa, chip: Path) -> None:
    earlier_station(f"emulator:{chip}", lambda device: device.write_slot_block(5, 0, SECRET))
    functions = InMemory(authority)
    functions.write = lambda writer: writer.write(5, 0, SECRET)
    with Device.open(f"emulator:{chip}") as device:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert content(chip, 5)[:32] == SECRET


@pytest.mark.slow
def test_resumed_run_asks_too(authority: MemoryCa, chip: Path) -> None:
    """Between its two runs another program may have written: a locked configuration does not show who locked it."""
    functions = InMemory(authority)
    functions.write = lambda writer: _fail()
    with Device.open(f"emulator:{chip}") as device:
        with pytest.raises(TransportError):
            Provisioner(Profile(), authority.cert_info, functions).provision(device)
        with device.permit(Act.WRITE_DATA):
            device.write_slot_block(9, 1, SECRET)
    assert refused(f"emulator:{chip}", authority).code == Code.DATA_UNKNOWN
    assert content(chip, 9)[32:64] == SECRET
    provision(f"emulator:{chip}", authority, Profile(fill_unwritten=True))


def _fail() -> None:
    raise TransportError("The cable fell out.")


def test_a_slot_that_was_locked_is_found_before_anything_is_overwritten(authority: MemoryCa, chip: Path) -> None:
    def lock_14(device: Device) -> None:
        device.write_slot_block(5, 0, SECRET)
        device.write_slot_block(14, 0, SECRET)
        device.lock_slot(14)

    earlier_station(f"emulator:{chip}", lock_14)
    error = refused(f"emulator:{chip}", authority, Profile(fill_unwritten=True))
    assert (error.code, error.board) == (Code.SLOT_LOCKED, Board.SET_ASIDE)
    assert "slot 14: locked" in error.what
    assert content(chip, 5)[:32] == SECRET


def test_locked_key_slot_is_reported_before_anything_is_done(authority: MemoryCa, chip: Path) -> None:
    def lock_key(device: Device) -> None:
        device.gen_key(0)
        device.lock_slot(0)

    earlier_station(f"emulator:{chip}", lock_key)
    before = chip.read_bytes()
    error = refused(f"emulator:{chip}", authority)
    assert (error.code, error.board) == (Code.SLOT_LOCKED, Board.SET_ASIDE)
    assert chip.read_bytes() == before


def test_integrator_write_to_a_locked_slot_is_refused(authority: MemoryCa, chip: Path) -> None:
    earlier_station(f"emulator:{chip}", lambda device: device.lock_slot(13))
    functions = InMemory(authority)
    functions.write = lambda writer: writer.write(13, 0, SECRET)
    with Device.open(f"emulator:{chip}") as device, pytest.raises(ProvisioningError) as caught:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert caught.value.code == Code.SLOT_LOCKED
