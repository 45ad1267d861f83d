"""A USB device without hardware: bytes of USB/IP in, bytes of USB/IP out."""

from __future__ import annotations

import abc
import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

from virtual_bench import usbip
from virtual_bench.usbip import Submit, Unlink

_DEVICE, _CONFIGURATION, _STRING = 1, 2, 3
_GET_DESCRIPTOR: Final = 0x8006
_GET_CONFIGURATION: Final = 0x8008
_GET_STATUS: Final = frozenset({0x8000, 0x8100, 0x8200})
_ACCEPTED: Final = frozenset({0x0009, 0x0001, 0x0003, 0x0201, 0x010B})
"""SET_CONFIGURATION, CLEAR_FEATURE and SET_FEATURE of the device, CLEAR_FEATURE of an endpoint, SET_INTERFACE."""


@dataclass(frozen=True)
class SetupPacket:
    """A request on endpoint 0. `kind` is bmRequestType << 8 | bRequest."""

    kind: int
    value: int
    index: int
    length: int

    @classmethod
    def parse(cls, data: bytes) -> SetupPacket:
        """Read the 8 bytes of a setup packet."""
        request_type, request, value, index, length = struct.unpack("<BBHHH", data)
        return cls(request_type << 8 | request, value, index, length)


class Stall(Exception):  # noqa: N818 - an answer of the device, not an error of ours
    """The device refuses the request."""


class InPipe:
    """An endpoint towards the host: requests wait for data, or data for requests, in order.

    `is_stream`: a chunk may be given in parts and joined with the next (bulk); otherwise one chunk is one transfer.
    """

    def __init__(self, *, is_stream: bool) -> None:
        self._is_stream = is_stream
        self._requests: deque[Submit] = deque()
        self._chunks: deque[bytes] = deque()
        self._count = 0

    def ask(self, request: Submit) -> None:
        """Queue a request."""
        self._requests.append(request)

    def give(self, data: bytes) -> None:
        """Queue data."""
        if data:
            self._chunks.append(data)

    def clear(self) -> None:
        """Forget data that was not asked for."""
        self._chunks.clear()

    def withdraw(self, number: int) -> bool:
        """Forget a request; tell whether it was still waiting."""
        for request in self._requests:
            if request.number == number:
                self._requests.remove(request)
                return True
        return False

    def take_count(self) -> int:
        """Return how many bytes have gone out since the last call."""
        count, self._count = self._count, 0
        return count

    def take_answers(self) -> bytes:
        """Return the answers that can be given now."""
        answers = b""
        while self._requests and self._chunks:
            request, chunk = self._requests.popleft(), self._chunks.popleft()
            if self._is_stream and len(chunk) > request.length:
                self._chunks.appendleft(chunk[request.length :])
                chunk = chunk[: request.length]
            answers += usbip.answer_in(request, chunk)
            self._count += len(chunk)
        return answers


class UsbDevice(abc.ABC):
    """Answer the standard requests; a subclass adds its own requests, endpoints and descriptors."""

    device_descriptor: bytes
    configuration_descriptor: bytes
    strings: tuple[bytes, ...]

    def __init__(self) -> None:
        self.in_pipes: dict[int, InPipe] = {}
        """By endpoint number."""
        self.carried = 0
        """Bytes of data both ways, without setup packets and standard requests."""
        self._receiver = usbip.Receiver()

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes of the kernel and return those for it.

        Raises:
            UsbIpError: the kernel sends something else.
        """
        answers = b"".join(self._answer(request) for request in self._receiver.receive_data(data))
        return answers + self.take_answers()

    def take_answers(self) -> bytes:
        """Return answers that have become possible since, by data given to `in_pipes`."""
        answers = [pipe.take_answers() for pipe in self.in_pipes.values()]
        self.carried += sum(pipe.take_count() for pipe in self.in_pipes.values())
        return b"".join(answers)

    def _answer(self, request: Submit | Unlink) -> bytes:
        if isinstance(request, Unlink):
            in_time = any(pipe.withdraw(request.target) for pipe in self.in_pipes.values())
            return usbip.answer_unlink(request, in_time=in_time)
        try:
            if request.endpoint == 0:
                return self._control(request)
            return self._transfer(request)
        except Stall:
            return usbip.answer_stall(request)

    def _transfer(self, request: Submit) -> bytes:
        if not request.is_in:
            self.carried += len(request.data)
            self.receive_out(request.endpoint, request.data)
            return usbip.answer_out(request)
        pipe = self.in_pipes.get(request.endpoint)
        if pipe is None:
            raise Stall
        pipe.ask(request)
        return b""

    def _control(self, request: Submit) -> bytes:
        setup = SetupPacket.parse(request.setup)
        reply = self._standard(setup)
        if reply is None:
            reply = self.control(setup, request.data)
            self.carried += len(reply) + len(request.data)
        if request.is_in:
            return usbip.answer_in(request, reply[: min(setup.length, request.length)])
        return usbip.answer_out(request)

    def _standard(self, setup: SetupPacket) -> bytes | None:
        if setup.kind == _GET_DESCRIPTOR:
            return self._descriptor(setup.value >> 8, setup.value & 0xFF)
        if setup.kind == _GET_CONFIGURATION:
            return b"\1"
        if setup.kind in _GET_STATUS:
            return b"\0\0"
        return b"" if setup.kind in _ACCEPTED else None

    def _descriptor(self, kind: int, index: int) -> bytes:
        if kind == _DEVICE:
            return self.device_descriptor
        if kind == _CONFIGURATION and index == 0:
            return self.configuration_descriptor
        if kind == _STRING and index < len(self.strings):
            return self.strings[index]
        raise Stall

    @abc.abstractmethod
    def control(self, setup: SetupPacket, data: bytes) -> bytes:
        """Answer a request on endpoint 0 that is not a standard one of the device; raise `Stall` to refuse."""

    @abc.abstractmethod
    def receive_out(self, endpoint: int, data: bytes) -> None:
        """Take data that the host sent to an endpoint; raise `Stall` to refuse."""
