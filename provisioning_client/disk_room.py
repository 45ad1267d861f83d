"""Check before each board that the disks on which a run writes have room: of trace, reports, and JSON file."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from atcaprov.durable_files import free_bytes
from atcaprov.errors import Board, Code, UsageError

ROOM_MIN: Final = 1024 * 1024
"""Bytes that a disk must still take before a board; trace, report and JSON lines of a run need about a tenth."""


class DiskRoom:
    """The disks on which a run writes: of the trace, of the reports, and of standard output if it is a file."""

    def __init__(self, trace: Path | None = None, reports: Path | None = None) -> None:
        self._trace = trace
        self._reports = reports

    def require(self) -> None:
        """Raise UsageError (disk-full) if one of them has too little room."""
        for what, place in self._places():
            try:
                free = free_bytes(place)
            except OSError:
                continue  # whoever writes there says what is wrong
            if free is not None and free < ROOM_MIN:
                raise UsageError(
                    f"The disk of {what} has {free:,} bytes left; a board needs {ROOM_MIN:,}.",
                    advice="No chip was touched. Make room on it, then start again.",
                    code=Code.DISK_FULL,
                    board=Board.UNTOUCHED,
                )

    def _places(self) -> Iterator[tuple[str, Path | int]]:
        if self._trace is not None:
            yield f"the trace {self._trace}", self._trace.absolute().parent
        if self._reports is not None:
            yield f"the reports {self._reports}", _existing(self._reports.absolute())
        descriptor = _standard_output()
        if descriptor is not None:
            yield "standard output", descriptor


def _existing(folder: Path) -> Path:
    """Return the folder, or the next one above it that exists."""
    return next((place for place in (folder, *folder.parents) if place.is_dir()), folder)


def _standard_output() -> int | None:
    """Return the descriptor of standard output if it is a file."""
    try:
        descriptor = sys.stdout.fileno()
        return descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError, AttributeError):
        return None
