"""The signing log: one tab-separated line for each certificate. A new file at each start, with a header line.

The last column is the CRC-32 of the line before it, so that a damaged line is seen. The columns are listed in
docs/reference/server-records.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.certs.issued_record import HEADER, IssuedRecord

_MODE: Final = 0o640
_HEADER_START: Final = b"time\t"
_LAST_LINES: Final = 64 * 1024
"""Bytes that hold the last line of any log: a line has about 2,000."""


class SigningLog:
    """A file that grows by whole lines; `sync` brings them to the disk."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = size
        self._torn = False

    @classmethod
    def create(cls, path: Path) -> SigningLog:
        """Create the file with its header line, durably; raises OSError."""
        return cls(path, durable_files.open_new(path, HEADER, _MODE), len(HEADER))

    def append(self, records: Iterable[IssuedRecord]) -> None:
        """Write a line for each; raises OSError, and then the next call writes them again, none of them twice."""
        data = b"".join(record.to_line() for record in records)
        if self._torn:
            os.ftruncate(self._descriptor, self.size)
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
        self._torn = True
        durable_files.write_all(self._descriptor, data)
        self._torn = False
        self.size += len(data)

    def sync(self) -> None:
        """Bring all lines to the disk; raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def lines_from(path: Path, offset: int) -> Iterator[tuple[int, IssuedRecord | None]]:
    """Yield the record of each line from a byte on, None for a damaged or cut one, and the byte after it.

    Header lines are left out. Raises OSError.
    """
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            offset += len(line)
            if not line.startswith(_HEADER_START):
                yield offset, _record(line)


def last_record(path: Path) -> tuple[int, IssuedRecord] | None:
    """Return the last undamaged line and the byte after it; None for a file without one. Raises OSError."""
    start = max(0, path.stat().st_size - _LAST_LINES)
    found = [(end, record) for end, record in lines_from(path, start) if record is not None]
    return found[-1] if found else None


def cut(path: Path, size: int) -> None:
    """Remove what follows the last whole line, durably; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _record(line: bytes) -> IssuedRecord | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return IssuedRecord.from_line(line)
    except ValueError:
        return None
