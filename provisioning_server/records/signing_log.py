"""The signing log: one tab-separated line for each certificate, with all that is needed to send it again.

A new file at each start, with a header line. The last column is the CRC-32 of the line before it, so that a damaged
line is seen. The columns are listed in docs/reference/server-records.md.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from atcaprov.certs.issued_record import HEADER, IssuedRecord
from atcaprov.durable_files import open_new, write_synced

_MODE: Final = 0o640


class FileState(NamedTuple):
    """Identity and length of a file."""

    device: int
    inode: int
    size: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return the state of a file; raises OSError."""
        status = path.stat()
        return cls(status.st_dev, status.st_ino, status.st_size)


class SigningLog:
    """The file of this start, written durably: `append` returns when the lines are on the disk."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = 0

    @classmethod
    def create(cls, path: Path) -> SigningLog:
        """Create the file with its header line, durably; raises OSError."""
        log = cls(open_new(path, HEADER, _MODE))
        log._size = len(HEADER)
        return log

    def append(self, records: Sequence[IssuedRecord]) -> list[tuple[int, int]]:
        """Write the lines with one sync; return (offset, size) of each. Raises OSError: nothing is recorded then."""
        lines = [record.to_line() for record in records]
        data = b"".join(lines)
        write_synced(self._descriptor, data)
        ends = itertools.accumulate(map(len, lines), initial=self._size)
        self._size += len(data)
        return [(offset, len(line)) for offset, line in zip(ends, lines, strict=False)]

    @property
    def size(self) -> int:
        """Return the number of bytes written."""
        return self._size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
