"""USB/IP as `vhci-hcd` speaks it with a plugged device: requests in, answers out, no I/O.

Source of the layout: Documentation/usb/usbip_protocol.rst of the kernel. A header has 48 bytes, all numbers are 32-bit
big-endian; the setup packet of endpoint 0 alone keeps USB's little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

HEADER_SIZE: Final = 48
_COMMON: Final = struct.Struct(">5I")  # command, sequence number, device, direction, endpoint
_SUBMIT: Final = struct.Struct(">Ii3I8s")  # flags, length, start frame, packets, interval, setup
_RET_SUBMIT: Final = struct.Struct(">5I5i8x")
_RET_UNLINK: Final = struct.Struct(">5Ii24x")
_CMD_SUBMIT: Final = 1
_CMD_UNLINK: Final = 2
_ANSWER_SUBMIT: Final = 3
_ANSWER_UNLINK: Final = 4
_DIRECTION_IN: Final = 1

STALL: Final = -32
"""Status of a request that the device refuses (EPIPE)."""
WITHDRAWN: Final = -104
"""Status of an unlink that came in time (ECONNRESET)."""


class UsbIpError(Exception):
    """The stream is not USB/IP: the rest of it cannot be parsed."""


@dataclass(frozen=True)
class Submit:
    """The kernel asks to carry out one transfer: to give up to `length` bytes, or to take `data`."""

    number: int
    endpoint: int
    is_in: bool
    length: int
    setup: bytes
    """8 bytes; zeros unless endpoint 0."""
    data: bytes


@dataclass(frozen=True)
class Unlink:
    """The kernel takes back the request `target`."""

    number: int
    target: int


class Receiver:
    """Split the stream from the kernel into requests."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def receive_data(self, data: bytes) -> list[Submit | Unlink]:
        """Take bytes as they come and return the requests that they complete.

        Raises:
            UsbIpError: an unknown command, or a negative length.
        """
        self._pending += data
        requests = []
        while (request := self._next()) is not None:
            requests.append(request)
        return requests

    def _next(self) -> Submit | Unlink | None:
        if len(self._pending) < HEADER_SIZE:
            return None
        command, number, _, direction, endpoint = _COMMON.unpack_from(self._pending)
        _, length, _, _, _, setup = _SUBMIT.unpack_from(self._pending, _COMMON.size)
        if command == _CMD_UNLINK:
            (target,) = struct.unpack_from(">I", self._pending, _COMMON.size)
            del self._pending[:HEADER_SIZE]
            return Unlink(number, target)
        if command != _CMD_SUBMIT or length < 0:
            raise UsbIpError(f"command {command} with length {length}")
        is_in = direction == _DIRECTION_IN
        end = HEADER_SIZE if is_in else HEADER_SIZE + length
        if len(self._pending) < end:
            return None
        data = bytes(self._pending[HEADER_SIZE:end])
        del self._pending[:end]
        return Submit(number, endpoint, is_in, length, setup, data)


def answer_in(request: Submit, data: bytes) -> bytes:
    """Answer a request for data, with at most as much as it asked for: more would bring the kernel down."""
    if len(data) > request.length:
        raise UsbIpError(f"{len(data)} bytes in answer to a request for {request.length}")
    return _RET_SUBMIT.pack(_ANSWER_SUBMIT, request.number, 0, 0, 0, 0, len(data), 0, 0, 0) + data


def answer_out(request: Submit) -> bytes:
    """Say that the data of the request were taken."""
    return _RET_SUBMIT.pack(_ANSWER_SUBMIT, request.number, 0, 0, 0, 0, len(request.data), 0, 0, 0)


def answer_stall(request: Submit) -> bytes:
    """Refuse the request."""
    return _RET_SUBMIT.pack(_ANSWER_SUBMIT, request.number, 0, 0, 0, STALL, 0, 0, 0, 0)


def answer_unlink(request: Unlink, *, in_time: bool) -> bytes:
    """Say whether the request was withdrawn before its answer."""
    return _RET_UNLINK.pack(_ANSWER_UNLINK, request.number, 0, 0, 0, WITHDRAWN if in_time else 0)
