"""The name of a server among all of its ledger: 16 hex digits, drawn once, in `server-id` of its data folder."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import read_text
from atcaprov.errors import Code, UsageError

FILE_NAME: Final = "server-id"
_ID: Final = re.compile(r"[0-9a-f]{16}")
_MODE: Final = 0o640


def server_id(data: Path) -> str:
    """Return the name of the server of a data folder; draw it if there is none.

    Raises:
        UsageError: FILE_INVALID for a damaged file, FILE_UNREADABLE, FILE_UNWRITABLE.
    """
    path = data / FILE_NAME
    if path.exists():
        text = read_text(path).strip()
        if _ID.fullmatch(text):
            return text
        raise UsageError(
            f"{path} does not hold the 16 hex digits that name this server.",
            advice="Restore it from a backup. Without one delete it, and the server gets a new name.",
            code=Code.FILE_INVALID,
        )
    drawn = secrets.token_hex(8)
    try:
        durable_files.replace(path, f"{drawn}\n".encode(), _MODE)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.",
            advice="Make room on its disk, or choose another folder with --data.",
            code=Code.FILE_UNWRITABLE,
        ) from error
    return drawn
