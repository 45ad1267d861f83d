"""An I2C adapter: i2c-tiny-usb, for which the kernel has a driver (drivers/i2c/busses/i2c-tiny-usb.c)."""

from __future__ import annotations

from typing import Final, Protocol

from virtual_bench import descriptors
from virtual_bench.usb_device import SetupPacket, Stall, UsbDevice

VENDOR_ID: Final = 0x1C40
PRODUCT_ID: Final = 0x0534
FUNCTIONS: Final = 0x0EFF0001.to_bytes(4, "little")
"""I2C, and SMBus emulated by it."""
ACKNOWLEDGED: Final = b"\1"
NOT_ACKNOWLEDGED: Final = b"\2"
_VENDOR_CLASS: Final = (0xFF, 0, 0)
_IN: Final = 0xC100
_OUT: Final = 0x4100
_GET_FUNCTIONS, _SET_DELAY, _GET_STATUS, _TRANSFER = 1, 2, 3, 4
_STOP: Final = 2
_START_AND_STOP: Final = 3  # added to _TRANSFER
_FILLER: Final = b"\xff"


class AdapterBus(Protocol):
    """The bus with its devices. Addresses have 7 bits; the answer None means that no device acknowledged."""

    def write(self, address: int, data: bytes, *, ends: bool) -> bool:
        """Carry bytes to the chip at an address; tell whether it acknowledged. If `ends`, a stop follows."""

    def read(self, address: int, count: int, *, ends: bool) -> bytes | None:
        """Return `count` bytes of the chip at an address; None: it does not acknowledge. If `ends`, a stop follows."""


class I2cTinyUsb(UsbDevice):
    """The adapter; `bus` is what hangs on it."""

    def __init__(self, serial_number: str, bus: AdapterBus) -> None:
        super().__init__()
        identity = descriptors.Identity(VENDOR_ID, PRODUCT_ID, "Bench", "i2c-tiny-usb", serial_number)
        self.device_descriptor = descriptors.device(identity)
        self.configuration_descriptor = descriptors.configuration(1, descriptors.interface(0, 0, _VENDOR_CLASS))
        self.strings = identity.strings()
        self._bus = bus
        self._status = b"\0"

    def control(self, setup: SetupPacket, data: bytes) -> bytes:
        """Carry out the adapter's requests."""
        direction, request = setup.kind & 0xFF00, setup.kind & 0xFF
        if direction == _IN and request == _GET_FUNCTIONS:
            return FUNCTIONS
        if direction == _IN and request == _GET_STATUS:
            return self._status
        if direction == _OUT and request == _SET_DELAY:
            return b""
        if _TRANSFER <= request <= _TRANSFER + _START_AND_STOP and direction in (_IN, _OUT):
            return self._carry(setup, data, is_read=direction == _IN)
        raise Stall

    def _carry(self, setup: SetupPacket, data: bytes, *, is_read: bool) -> bytes:
        address, ends = setup.index & 0x7F, bool((setup.kind & 0xFF) - _TRANSFER & _STOP)
        if not is_read:
            self._status = ACKNOWLEDGED if self._bus.write(address, data, ends=ends) else NOT_ACKNOWLEDGED
            return b""
        found = self._bus.read(address, setup.length, ends=ends)
        self._status = NOT_ACKNOWLEDGED if found is None else ACKNOWLEDGED
        return found if found is not None else _FILLER * setup.length

    def receive_out(self, endpoint: int, data: bytes) -> None:
        """Refuse: the adapter has no endpoint but 0."""
        raise Stall
