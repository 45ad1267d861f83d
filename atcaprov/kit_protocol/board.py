"""A whole board without a cable: an interpreter behind the framing of a serial port, bytes in and bytes out."""

from __future__ import annotations

from atcaprov.kit_protocol.framing import LineBuffer
from atcaprov.kit_protocol.interpreter import Interpreter


class CdcBoard:
    """A board at a serial port: takes and gives pieces of a byte stream."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._lines = LineBuffer()

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes of the host and return the answers to the lines that they complete."""
        return b"".join(self._interpreter.answer(line) for line in self._lines.receive_data(data))
