"""Files that audit commands write: whole, or as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.errors import Code, UsageError

_MODE: Final = 0o644


def write_file(path: Path, data: bytes) -> None:
    """Write or replace a file; raises UsageError FILE_UNWRITABLE."""
    try:
        durable_files.replace(path, data, _MODE)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
