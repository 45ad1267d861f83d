"""A kit at a serial port: CDC-ACM, two interfaces (USB CDC 1.1, PSTN 1.2)."""

from __future__ import annotations

from typing import Final, Protocol

from virtual_bench import descriptors
from virtual_bench.usb_device import InPipe, SetupPacket, Stall, UsbDevice

VENDOR_ID: Final = 0x03EB
PRODUCT_ID: Final = 0x2122
IN_ENDPOINT: Final = 1
OUT_ENDPOINT: Final = 2
NOTICE_ENDPOINT: Final = 3
_COMMUNICATIONS: Final = 2
_ACM: Final = (_COMMUNICATIONS, 2, 1)
_DATA: Final = (0x0A, 0, 0)
_FUNCTIONAL: Final = bytes.fromhex("0524001001 0524010001 04240202 0524060001")  # header, call management, ACM, union
_SET_LINE_CODING: Final = 0x2120
_GET_LINE_CODING: Final = 0xA121
_SET_CONTROL_LINE_STATE: Final = 0x2122
_9600_8N1: Final = bytes.fromhex("80250000000008")


class ByteStreamPort(Protocol):
    """What is behind the port: it takes and gives pieces of a byte stream."""

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes and return those to send."""


class CdcKit(UsbDevice):
    """The port of a kit; `port` is the kit."""

    def __init__(self, serial_number: str, port: ByteStreamPort) -> None:
        super().__init__()
        identity = descriptors.Identity(VENDOR_ID, PRODUCT_ID, "Bench", "CDC kit", serial_number)
        self.device_descriptor = descriptors.device(identity, _COMMUNICATIONS)
        self.configuration_descriptor = descriptors.configuration(
            2,
            descriptors.interface(0, 1, _ACM)
            + _FUNCTIONAL
            + descriptors.endpoint(descriptors.IN | NOTICE_ENDPOINT, descriptors.INTERRUPT, 8, 16)
            + descriptors.interface(1, 2, _DATA)
            + descriptors.endpoint(descriptors.IN | IN_ENDPOINT, descriptors.BULK, 64)
            + descriptors.endpoint(OUT_ENDPOINT, descriptors.BULK, 64),
        )
        self.strings = identity.strings()
        self.line_coding = _9600_8N1
        self._port = port
        self.in_pipes[IN_ENDPOINT] = InPipe(is_stream=True)
        self.in_pipes[NOTICE_ENDPOINT] = InPipe(is_stream=False)

    def control(self, setup: SetupPacket, data: bytes) -> bytes:
        """Keep the line coding, which has no effect on this line."""
        if setup.kind == _SET_LINE_CODING:
            self.line_coding = data
            return b""
        if setup.kind == _GET_LINE_CODING:
            return self.line_coding
        if setup.kind == _SET_CONTROL_LINE_STATE:
            return b""
        raise Stall

    def receive_out(self, endpoint: int, data: bytes) -> None:
        """Hand bytes to the kit."""
        if endpoint != OUT_ENDPOINT:
            raise Stall
        self.in_pipes[IN_ENDPOINT].give(self._port.receive_data(data))
