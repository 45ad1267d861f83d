"""Cut what a port delivers into lines: a byte stream (CDC) ends a line with LF, HID carries it in 64-byte reports."""

from __future__ import annotations

from typing import Final

LINE_LIMIT: Final = 2500
"""Longest line, bytes: the message buffer of the largest published firmware (KitProtocol_Parser 3.2.0)."""
REPORT_SIZE: Final = 64
REPORT_ID: Final = b"\x00"
LINE_END: Final = b"\n"
_PADDING: Final = bytes(range(0x20))
"""Bytes below the blank never belong to a line: NUL after a message, CR, the 04 that one firmware pads with."""


class LineBuffer:
    """Collects the bytes of a stream and gives them back as lines; never holds more than a line.

    Of a line that is longer than `LINE_LIMIT`, the first `LINE_LIMIT` + 1 bytes come out and the rest is dropped up to
    its LF, so that the reader sees that it is too long and the next one is whole again.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take bytes as they come and return the lines that they complete, without LF and padding."""
        *ended, rest = data.split(LINE_END)
        lines = [self._end(part) for part in ended]
        self._append(rest)
        return lines

    def clear(self) -> None:
        """Forget a line that is not complete."""
        self._pending.clear()

    def _end(self, part: bytes) -> bytes:
        self._append(part)
        line = bytes(self._pending).strip(_PADDING)
        self.clear()
        return line

    def _append(self, part: bytes) -> None:
        self._pending += part[: LINE_LIMIT + 1 - len(self._pending)]


class ReportBuffer:
    """Collects HID reports; everything after the LF of a line is padding."""

    def __init__(self) -> None:
        self._lines = LineBuffer()

    def receive_report(self, report: bytes) -> bytes | None:
        """Take one report, without report id, and return the line that it completes, or None."""
        text, end, _padding = report.partition(LINE_END)
        lines = self._lines.receive_data(text + end)
        return lines[0] if lines else None

    def clear(self) -> None:
        """Forget a line that is not complete."""
        self._lines.clear()


def to_reports(message: bytes) -> list[bytes]:
    """Cut a message, LF included, into reports of 64 bytes, the last one padded with zeros; without report id."""
    return [
        message[start : start + REPORT_SIZE].ljust(REPORT_SIZE, b"\0") for start in range(0, len(message), REPORT_SIZE)
    ]
