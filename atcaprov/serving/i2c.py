"""Raw I2C messages over a byte stream.

Request: a letter, bus, 7-bit address, number (16 bits, little-endian), and for W and w that many bytes. Reply: 0 for
ACK or 1 for NAK, and after the ACK of an R or r the bytes read.

W and R are transfers from start to stop. After w and r no stop follows, so that the next message begins with a repeated
start. P holds SDA low for so many microseconds, S sets the clock of the bus to so many kHz; both are acknowledged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from atcaprov.errors import Code, ProtocolError
from atcaprov.serving.bus import Buses
from atcaprov.serving.framing import Step

_REQUEST: Final = struct.Struct("<cBBH")
_ACK: Final = b"\0"
_NAK: Final = b"\1"
_HIGHEST_ADDRESS: Final = 0x7F
_WRITES: Final = b"Ww"
_READS: Final = b"Rr"
_PULSE: Final = b"P"
_SPEED: Final = b"S"
_HERTZ: Final = 1000


class I2cSession:
    """One client of the raw bus."""

    def __init__(self, buses: Buses) -> None:
        self._buses = buses
        self._buffer = b""

    def receive(self, data: bytes) -> Iterator[Step]:
        """Take bytes of the client; see `FramingSession`.

        Raises:
            ProtocolError: a request begins with another letter, its address has 8 bits, or the clock is 0.
        """
        self._buffer += data
        while len(self._buffer) >= _REQUEST.size:
            kind, bus, address, number = _REQUEST.unpack_from(self._buffer)
            if kind not in _WRITES + _READS + _PULSE + _SPEED or address > _HIGHEST_ADDRESS:
                raise ProtocolError("The bytes received are not an I2C message.", code=Code.BAD_FRAME)
            end = _REQUEST.size + (number if kind in _WRITES else 0)
            if len(self._buffer) < end:
                return
            written, self._buffer = self._buffer[_REQUEST.size : end], self._buffer[end:]
            yield self._answer(kind, bus, address << 1, number, written)

    def _answer(self, kind: bytes, bus: int, address: int, number: int, written: bytes) -> bytes:
        if kind == _PULSE:
            self._buses.bus(bus).pulse(number)
            return _ACK
        if kind == _SPEED:
            return self._set_speed(bus, number)
        if kind in _WRITES:
            return _ACK if self._buses.write(bus, address, written, ends=kind.isupper()) else _NAK
        found = self._buses.read(bus, address, number, ends=kind.isupper())
        return _NAK if found is None else _ACK + found

    def _set_speed(self, bus: int, kilohertz: int) -> bytes:
        if not kilohertz:
            raise ProtocolError("An I2C bus does not run at 0 kHz.", code=Code.BAD_FRAME)
        self._buses.bus(bus).speed = kilohertz * _HERTZ
        return _ACK
