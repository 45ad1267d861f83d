"""A client of the raw I2C protocol without a port: it sends messages to software chips on a bus."""

from __future__ import annotations

import struct

from atcaprov import SoftwareChip
from atcaprov.serving.bus import DEFAULT_SPEED, Buses
from atcaprov.serving.chips import ServedChip
from atcaprov.serving.i2c import I2cSession

ACK, NAK = b"\0", b"\1"


class I2cClient:
    """One client of a bus."""

    def __init__(self, *chips: SoftwareChip, speed: int = DEFAULT_SPEED) -> None:
        self.session = I2cSession(Buses([ServedChip(chip) for chip in chips or (SoftwareChip(),)], speed))

    def write(self, data: bytes, *, address: int = 0x60, bus: int = 0, ends: bool = True) -> bytes:
        return self.request(b"W" if ends else b"w", bus, address, len(data), data)

    def read(self, count: int, *, address: int = 0x60, bus: int = 0, ends: bool = True) -> bytes:
        return self.request(b"R" if ends else b"r", bus, address, count)

    def wake(self, bus: int = 0) -> None:
        assert self.request(b"P", bus, 0, 60) == ACK

    def command(self, content: bytes, count: int, *, address: int = 0x60, bus: int = 0) -> bytes:
        """Send a packet and return `count` bytes of the reply."""
        assert self.write(b"\x03" + content, address=address, bus=bus) == ACK
        reply = self.read(count, address=address, bus=bus)
        assert reply[:1] == ACK
        return reply[1:]

    def request(self, kind: bytes, bus: int, address: int, number: int, data: bytes = b"") -> bytes:
        (step,) = self.session.receive(struct.pack("<cBBH", kind, bus, address, number) + data)
        assert isinstance(step, bytes)
        return step
