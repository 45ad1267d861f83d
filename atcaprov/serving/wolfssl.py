"""The byte stream of wolfSSL's ATECC608 simulator: word addresses, and a packet behind each 03.

03 and a packet (count to CRC) is answered with the reply packet as soon as it is there. 00 (wake), 01 (sleep) and 02
(idle) are silent. The chip is woken for each command: clients of that simulator send none of the wake pulses that a
chip needs (wolfSSL/simulators, ATECC608Sim tcp_server). The first chip answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from atcaprov.emulator.i2c_port import WordAddress
from atcaprov.errors import Code, ProtocolError
from atcaprov.serving.bus import Buses
from atcaprov.serving.framing import Step, Wait

_COUNT_AT: Final = 1


class WolfsslSession:
    """One client of the simulator's stream."""

    def __init__(self, buses: Buses) -> None:
        self._pins = buses.parts[0]
        self._buffer = b""

    def receive(self, data: bytes) -> Iterator[Step]:
        """Take bytes of the client; see `FramingSession`.

        Raises:
            ProtocolError: a word address that does not exist came, or a packet whose count is 0.
        """
        self._buffer += data
        while (written := self._next()) is not None:
            yield from self._act(written)

    def _next(self) -> bytes | None:
        """Cut off the first word address, with its packet if it is a command."""
        size = 1
        if self._buffer[:1] == bytes((WordAddress.COMMAND,)):
            if len(self._buffer) < _COUNT_AT + 1:
                return None
            size = _COUNT_AT + self._buffer[_COUNT_AT]
        if len(self._buffer) < size:
            return None
        written, self._buffer = self._buffer[:size], self._buffer[size:]
        return written

    def _act(self, written: bytes) -> Iterator[Step]:
        if written[0] > WordAddress.COMMAND or written == bytes((WordAddress.COMMAND,)):
            raise ProtocolError("The bytes received are neither a word address nor a packet.", code=Code.BAD_FRAME)
        chip = self._pins.chip
        chip.wake()
        if written[0] == WordAddress.SLEEP:
            chip.sleep()
        elif written[0] == WordAddress.IDLE:
            chip.idle()
        elif written[0] == WordAddress.COMMAND:
            reply = self._pins.exchange(written[1:])
            if seconds := self._pins.lag():
                yield Wait(seconds)
            yield reply
