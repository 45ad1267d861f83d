"""Read the places that certificate definitions name, in whatever zone they are."""

from __future__ import annotations

from atcaprov.certs.definitions.fields import DeviceLocation, DeviceZone
from atcaprov.chip.memory_map import BLOCK_SIZE
from atcaprov.device.device import Device


def read_place(device: Device, location: DeviceLocation) -> bytes:
    """Return the bytes of a location that the chip shows in clear; raises as `Device.read_slot`."""
    if location.zone is DeviceZone.OTP:
        first = location.offset // BLOCK_SIZE
        start = location.offset - first * BLOCK_SIZE
        return device.read_otp(first, start + location.count)[start:]
    if location.zone is DeviceZone.CONFIG:
        return device.read_config()[location.offset : location.end]
    return device.read_slot(location.slot, location.offset, location.count)
