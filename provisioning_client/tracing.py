"""Trace files of a session: one for each board, so that each can be read and replayed by itself."""

from __future__ import annotations

from pathlib import Path

from atcaprov.device.device import Device
from atcaprov.hal.base import Hal
from atcaprov.hal.registry import open_hal
from atcaprov.hal.trace import create_trace
from atcaprov.hal.traced import TracedHal


class Tracing:
    """Opens devices with a trace: the first board in the file itself, the next in `name-2.ext`, `name-3.ext` …"""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boards = 0

    def open(self, url: str) -> Device:
        """Open a chip; what goes to it and comes back is written down, without secrets.

        Raises:
            UsageError: the file can't be written.
        """
        hal: Hal = open_hal(url)
        try:
            hal = TracedHal(hal, create_trace(self._next_path(), hal.url))
            return Device(hal)
        except BaseException:
            hal.close()
            raise

    def _next_path(self) -> Path:
        self._boards += 1
        if self._boards == 1:
            return self._path
        return self._path.with_stem(f"{self._path.stem}-{self._boards}")
