"""Trace files: one for each board, so that each can be read and replayed by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from atcaprov.device.device import Device
from atcaprov.errors import UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.registry import open_hal
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import create_trace


def numbered(path: Path, board: int) -> Path:
    """Return the trace file of a board, which counts from 1: the file itself, `name-2.ext`, `name-3.ext` …"""
    return path if board == 1 else path.with_stem(f"{path.stem}-{board}")


class TraceFiles:
    """Opens devices with a trace: the first board in the file itself, the next in `name-2.ext`, `name-3.ext` …

    A trace never costs a board: if a file can no longer be written, the boards continue without a trace, and `warn` is
    called once.

    Raises:
        UsageError: the first file cannot be written (code FILE_UNWRITABLE).
    """

    def __init__(self, path: Path, warn: Callable[[UsageError], None]) -> None:
        self._path = path
        self._warn = warn
        self._boards = 0
        self._is_ended = False
        create_trace(path, "").close()

    def open(self, url: str) -> Device:
        """Open a chip; its commands and replies are written to the trace, without secrets."""
        hal: Hal = open_hal(url)
        try:
            hal = self._traced(hal)
            return Device(hal)
        except BaseException:
            hal.close()
            raise

    def _traced(self, hal: Hal) -> Hal:
        if self._is_ended:
            return hal
        try:
            return TracedHal(hal, create_trace(self._next_path(), hal.url), on_loss=self._end)
        except UsageError as error:
            self._end(error)
            return hal

    def _end(self, error: UsageError) -> None:
        self._is_ended = True
        error.advice = "The trace ends here; the boards are not affected. Make room and start the program again."
        self._warn(error)

    def _next_path(self) -> Path:
        self._boards += 1
        return numbered(self._path, self._boards)
