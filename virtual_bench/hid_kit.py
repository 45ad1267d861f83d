"""A kit at a HID port: 64-byte reports on two interrupt endpoints (USB HID 1.11)."""

from __future__ import annotations

from typing import Final, Protocol

from virtual_bench import descriptors
from virtual_bench.usb_device import InPipe, SetupPacket, Stall, UsbDevice

VENDOR_ID: Final = 0x03EB
PRODUCT_ID: Final = 0x2312
REPORT_SIZE: Final = 64
IN_ENDPOINT: Final = 1
OUT_ENDPOINT: Final = 2
_HID: Final = (3, 0, 0)
_INTERVAL_MS: Final = 1
_EIGHT_BITS_64_TIMES: Final = bytes.fromhex("150026ff0075089540")
_REPORT_DESCRIPTOR: Final = (
    bytes.fromhex("0600ff0901a101")  # vendor usage page, usage 1, application collection
    + (bytes.fromhex("0902") + _EIGHT_BITS_64_TIMES + bytes.fromhex("8102"))  # input
    + (bytes.fromhex("0903") + _EIGHT_BITS_64_TIMES + bytes.fromhex("9102"))  # output
    + bytes.fromhex("c0")
)
_HID_DESCRIPTOR: Final = bytes.fromhex("09211101000122") + len(_REPORT_DESCRIPTOR).to_bytes(2, "little")
_GET_REPORT_DESCRIPTOR: Final = (0x8106, 0x2200)
_SET_IDLE: Final = 0x210A


class ReportPort(Protocol):
    """What is behind the port: it takes one report and gives reports."""

    def receive_report(self, report: bytes) -> list[bytes]:
        """Take one report of 64 bytes and return those to send."""


class HidKit(UsbDevice):
    """The port of a kit; `port` is the kit."""

    def __init__(self, serial_number: str, port: ReportPort) -> None:
        super().__init__()
        identity = descriptors.Identity(VENDOR_ID, PRODUCT_ID, "Bench", "HID kit", serial_number)
        self.device_descriptor = descriptors.device(identity)
        self.configuration_descriptor = descriptors.configuration(
            1,
            descriptors.interface(0, 2, _HID)
            + _HID_DESCRIPTOR
            + descriptors.endpoint(descriptors.IN | IN_ENDPOINT, descriptors.INTERRUPT, REPORT_SIZE, _INTERVAL_MS)
            + descriptors.endpoint(OUT_ENDPOINT, descriptors.INTERRUPT, REPORT_SIZE, _INTERVAL_MS),
        )
        self.strings = identity.strings()
        self._port = port
        self.in_pipes[IN_ENDPOINT] = InPipe(is_stream=False)

    def control(self, setup: SetupPacket, data: bytes) -> bytes:
        """Give the report descriptor, accept SET_IDLE."""
        if (setup.kind, setup.value) == _GET_REPORT_DESCRIPTOR:
            return _REPORT_DESCRIPTOR
        if setup.kind == _SET_IDLE:
            return b""
        raise Stall

    def receive_out(self, endpoint: int, data: bytes) -> None:
        """Hand a report to the kit."""
        if endpoint != OUT_ENDPOINT:
            raise Stall
        for report in self._port.receive_report(data):
            self.in_pipes[IN_ENDPOINT].give(report)
