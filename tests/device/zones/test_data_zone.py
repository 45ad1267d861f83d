from __future__ import annotations

from collections.abc import Iterator

import pytest

from atcaprov import Act, Code, DataZoneWriter, Device, ProvisioningError, UsageError
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.zones.config_zone import lock_config, write_config
from atcaprov.device.zones.data_zone import DataZone
from tests.support.scripted_hal import ScriptedHal


@pytest.fixture
def device() -> Iterator[Device]:
    """A chip with the default configuration locked and its data zone open."""
    with Device.open("emulator:") as device:
        with device.permit(Act.WRITE_CONFIG, Act.LOCK_CONFIG):
            lock_config(device, write_config(device, device.read_config(), DEFAULT_608A))
        with device.permit(Act.WRITE_DATA, Act.LOCK_DATA):
            yield device


def test_the_image_follows_the_writes_so_that_the_chip_accepts_its_crc(device: Device) -> None:
    zone = DataZone(device, DEFAULT_608A)
    zone.write(8, 0, b"first")
    zone.write(8, 32, bytes(range(70)))
    zone.write(10, 0, b"\x10" * 72)
    zone.write(5, 0, b"\x05" * 32)
    zone.write(13, 64, b"\x13" * 8)
    device.lock_data(zone.summary_crc())
    assert device.read_slot(8, 0, 102) == b"first".ljust(32, b"\0") + bytes(range(70))
    assert device.read_slot(10, 0, 72) == b"\x10" * 72
    assert device.read_slot(13, 60, 12) == b"\xff" * 4 + b"\x13" * 8


def test_filling_makes_the_image_true_for_any_earlier_content(device: Device) -> None:
    device.write_slot_block(9, 1, b"\x99" * 32)
    device.write_otp_block(1, b"\x77" * 32)
    zone = DataZone(device, DEFAULT_608A)
    zone.write(10, 0, b"\x10" * 72)
    zone.fill_unwritten()
    device.lock_data(zone.summary_crc())
    assert device.read_slot(10, 0, 72) == b"\x10" * 72


@pytest.mark.parametrize("size", [1, 32, 33, 64])
@pytest.mark.parametrize("fill", [False, True])
def test_the_image_follows_what_is_written_to_otp(device: Device, size: int, fill: bool) -> None:
    zone, content = DataZone(device, DEFAULT_608A), bytes(range(1, size + 1))
    zone.write_otp(content)
    if fill:
        zone.fill_unwritten()
    device.lock_data(zone.summary_crc())
    written = content.ljust(-(-size // 32) * 32, b"\0")
    assert device.read_otp(0, 64) == written.ljust(64, b"\xff")


@pytest.mark.parametrize("data", [b"", bytes(65)])
def test_data_that_does_not_fit_otp_is_refused_before_anything_is_sent(data: bytes) -> None:
    hal = ScriptedHal()
    with Device(hal) as device, device.permit(Act.WRITE_DATA), pytest.raises(UsageError):
        DataZone(device, DEFAULT_608A).write_otp(data)
    assert hal.packets == []


def test_a_fresh_zone_is_all_ff_without_the_private_slots(device: Device) -> None:
    public = b"\xff" * sum(SLOT_SIZES[5:]) + b"\xff" * 64
    assert DataZone(device, DEFAULT_608A).summary_crc() == crc16(public)


@pytest.mark.parametrize(
    ("slot", "offset", "data"),
    [(8, 1, b"x"), (8, -32, b"x"), (8, 0, b""), (8, 0, bytes(417)), (13, 32, bytes(41)), (13, 96, b"x")],
)
def test_data_that_does_not_fit_is_refused_before_anything_is_sent(
    device: Device, slot: int, offset: int, data: bytes
) -> None:
    with pytest.raises(UsageError):
        DataZone(device, DEFAULT_608A).write(slot, offset, data)


@pytest.mark.parametrize("slot", [0, 4, 16, -1])
def test_private_slot_is_refused(device: Device, slot: int) -> None:
    with pytest.raises(UsageError) as refused:
        DataZone(device, DEFAULT_608A).write(slot, 0, bytes(32))
    assert refused.value.code == Code.SLOT_NOT_ALLOWED


def test_writer_refuses_certificate_slots(device: Device) -> None:
    writer = DataZoneWriter(DataZone(device, DEFAULT_608A), frozenset({10, 11, 12}), bytes(9))
    with pytest.raises(ProvisioningError) as refused:
        writer.write(12, 0, bytes(32))
    assert refused.value.code == Code.SLOT_NOT_ALLOWED
    writer.write(13, 0, bytes(32))
