"""The newest checkpoint that this server has signed: `checkpoint` in the data folder, beside the ledger.

A ledger that does not contain it is an older one, under a newer data folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import read_bytes, status
from atcaprov.errors import Code, UsageError

FILE_NAME: Final = "checkpoint"
_MODE: Final = 0o640
_SIZE_MAX: Final = 1 << 16


class CheckpointFile:
    """The file, a signed note as it is sent to stations."""

    def __init__(self, data: Path) -> None:
        """`data` is the data folder."""
        self.path = data / FILE_NAME
        self._written = b""

    def read(self) -> bytes:
        """Return the note; empty if there is none. Raises UsageError FILE_UNREADABLE."""
        return b"" if status(self.path) is None else read_bytes(self.path, _SIZE_MAX)

    def write(self, note: bytes) -> None:
        """Keep a note durably, unless it was written before; raises UsageError FILE_UNWRITABLE."""
        if note == self._written:
            return
        try:
            durable_files.replace(self.path, note, _MODE)
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be written: {error.strerror}.",
                advice="Make room on the disk, or correct the permissions of the data folder.",
                code=Code.FILE_UNWRITABLE,
            ) from error
        self._written = note

    def remove(self) -> None:
        """Remove the file, durably; raises UsageError FILE_UNWRITABLE."""
        try:
            self.path.unlink(missing_ok=True)
            durable_files.sync_folder(self.path.parent)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be removed: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
        self._written = b""
