"""The kernel's end of the wire, played by a test: requests as `vhci-hcd` sends them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from virtual_bench.usb_device import UsbDevice


class UsbAnswer(NamedTuple):
    """One answer of a device."""

    command: int
    number: int
    status: int
    length: int
    data: bytes


@dataclass
class FakeKernel:
    """Send requests to a device and parse its answers."""

    device: UsbDevice
    number: int = 0
    asked: set[int] = field(default_factory=set)
    """Requests for data: only their answers carry some."""

    def control_in(self, setup: str, length: int) -> UsbAnswer:
        """Ask endpoint 0 for data; `setup` are its first 6 bytes as hex."""
        whole = bytes.fromhex(setup) + struct.pack("<H", length)
        (answer,) = self.send(submit(self.next_in(), 0, is_in=True, length=length, setup=whole))
        return answer

    def control_out(self, setup: str, data: bytes = b"") -> UsbAnswer:
        """Give endpoint 0 data."""
        whole = bytes.fromhex(setup) + struct.pack("<H", len(data))
        (answer,) = self.send(submit(self.next(), 0, is_in=False, setup=whole, data=data))
        return answer

    def out(self, endpoint: int, data: bytes) -> list[UsbAnswer]:
        """Give an endpoint data; answers to earlier requests may come with it."""
        return self.send(submit(self.next(), endpoint, is_in=False, data=data))

    def ask(self, endpoint: int, length: int) -> list[UsbAnswer]:
        """Ask an endpoint for data."""
        return self.send(submit(self.next_in(), endpoint, is_in=True, length=length))

    def unlink(self, target: int) -> list[UsbAnswer]:
        """Take a request back."""
        return self.send(struct.pack(">6I24x", 2, self.next(), 65537, 0, 0, target))

    def send(self, data: bytes) -> list[UsbAnswer]:
        """Send bytes and return the answers."""
        return answers(self.device.receive_data(data), self.asked)

    def next(self) -> int:
        """Count the requests."""
        self.number += 1
        return self.number

    def next_in(self) -> int:
        """Count a request for data."""
        self.asked.add(self.next())
        return self.number


def submit(
    number: int, endpoint: int, *, is_in: bool, length: int = 0, setup: bytes = bytes(8), data: bytes = b""
) -> bytes:
    """Return CMD_SUBMIT."""
    size = length if is_in else len(data)
    header = struct.pack(">5IIi3I", 1, number, 65537, int(is_in), endpoint, 0x200, size, 0, 0xFFFFFFFF, 0)
    return header + setup + data


def answers(stream: bytes, asked: set[int]) -> list[UsbAnswer]:
    """Parse a stream of answers; data follow the answers to the requests in `asked`."""
    found = []
    while stream:
        command, number, _, _, _, status, length = struct.unpack(">5I2i", stream[:28])
        end = 48 + (length if number in asked else 0)
        found.append(UsbAnswer(command, number, status, length, stream[48:end]))
        stream = stream[end:]
    return found
