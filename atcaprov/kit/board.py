"""A whole board without a cable: an interpreter behind the framing of its port, bytes in and bytes out."""

from __future__ import annotations

from atcaprov.kit.framing import LineBuffer, ReportBuffer, to_reports
from atcaprov.kit.interpreter import Interpreter


class CdcBoard:
    """A board at a serial port: takes and gives pieces of a byte stream."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._lines = LineBuffer()

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes of the host and return the answers to the lines that they complete."""
        return b"".join(self._interpreter.answer(line) for line in self._lines.receive_data(data))

    def clear(self) -> None:
        """Forget a line that is not complete, as at a new connection."""
        self._lines.clear()


class HidBoard:
    """A board at a HID port: takes and gives reports of 64 bytes, without report id."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._reports = ReportBuffer()

    def receive_report(self, report: bytes) -> list[bytes]:
        """Take one report of the host and return those of the answer, if it completes a line."""
        line = self._reports.receive_report(report)
        return [] if line is None else to_reports(self._interpreter.answer(line))
