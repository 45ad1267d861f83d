"""Raw I2C transactions over a byte stream.

Request: `W` or `R`, bus, 7-bit address, length (16 bits, little-endian), and for W that many bytes. Reply: 0 for ACK or
1 for NAK, and after the ACK of an R the bytes read. A transaction with address 0 is the wake pulse: it reaches every
chip on the bus and is not acknowledged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from atcaprov.errors import Code, ProtocolError
from atcaprov.serving.bus import Buses
from atcaprov.serving.steps import Step

_REQUEST: Final = struct.Struct("<cBBH")
_ACK: Final = b"\0"
_NAK: Final = b"\1"
_HIGHEST_ADDRESS: Final = 0x7F


class I2cSession:
    """One client of the raw bus."""

    def __init__(self, buses: Buses) -> None:
        self._buses = buses
        self._buffer = b""

    def receive(self, data: bytes) -> Iterator[Step]:
        """Take bytes of the client; see `Session`.

        Raises:
            ProtocolError: a request begins with another letter than W and R, or its address has 8 bits.
        """
        self._buffer += data
        while len(self._buffer) >= _REQUEST.size:
            kind, bus, address, length = _REQUEST.unpack_from(self._buffer)
            if kind not in b"WR" or address > _HIGHEST_ADDRESS:
                raise ProtocolError("What came is no I2C transaction.", code=Code.BAD_FRAME)
            end = _REQUEST.size + (length if kind == b"W" else 0)
            if len(self._buffer) < end:
                return
            written, self._buffer = self._buffer[_REQUEST.size : end], self._buffer[end:]
            yield self._transfer(kind, bus, address << 1, length, written)

    def _transfer(self, kind: bytes, bus: int, address: int, length: int, written: bytes) -> bytes:
        if address == 0:
            self._buses.wake(bus)
            return _NAK
        if kind == b"W":
            return _ACK if self._buses.write(bus, address, written) else _NAK
        found = self._buses.read(bus, address, length)
        return _NAK if found is None else _ACK + found
