"""New files that commands write: refused before the work if the name is taken, written whole after it."""

from __future__ import annotations

from pathlib import Path

from atcaprov import durable_files
from atcaprov.bounded_reading import status
from atcaprov.errors import Code, UsageError

_MODE = 0o644


def refuse_existing(path: Path) -> None:
    """Raise UsageError (file-unwritable) if something has this name already."""
    if status(path) is not None:
        raise UsageError(f"{path} already exists.", advice="Choose another file.", code=Code.FILE_UNWRITABLE)


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file that must not exist; raises UsageError (file-unwritable)."""
    try:
        durable_files.write_new(path, data, _MODE)
        durable_files.sync_folder(path.parent)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
