"""What can be told of a ledger's file before SQLite opens it: whether it is one, and whether it is complete.

A file of another program is not touched. The header of a database:
https://www.sqlite.org/fileformat2.html#the_database_header.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path
from typing import Final

from atcaprov.errors import Code, UsageError

APPLICATION_ID: Final = 0x41544C47
"""`ATLG`, in the header of the file."""
RESTORE: Final = "Restore the ledger from a backup."
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_SIZE: Final = 100
_VERSION: Final = slice(60, 64)
_APPLICATION_ID: Final = slice(68, 72)


def write_ahead_log(path: Path) -> Path:
    """Return the file in which SQLite keeps the newest steps; it is a part of the ledger while it exists."""
    return path.with_name(f"{path.name}-wal")


def check_file(path: Path) -> int:
    """Return the version of the ledger in a file.

    Raises:
        UsageError: LEDGER_INVALID if it is not a ledger; RECORD_MISSING if a part of it is missing; FILE_UNREADABLE.
    """
    header = _header(path)
    if not header:
        raise _invalid(f"The ledger {path} is empty.", RESTORE)
    if len(header) < _HEADER_SIZE or not header.startswith(_MAGIC):
        raise _invalid(f"{path} is not a ledger: it is not a database of SQLite.", RESTORE)
    application = int.from_bytes(header[_APPLICATION_ID], "big")
    if application != APPLICATION_ID:
        raise _invalid(
            f"{path} is a database of another program, with the application id {application:#x}.",
            "Move it to another folder, and put the ledger in its place.",
        )
    if lacks_log(path):
        name = write_ahead_log(path).name
        raise UsageError(
            f"The newest records of the ledger {path} are missing: its part {name} was removed or not copied.",
            advice=f"Put {name} back beside it, or restore the ledger from a backup. If another program such as sqlite3"
            " opened it, nothing is lost: make a backup of it with 'provisioning-server ledger backup DEST', and"
            " restore that with 'provisioning-server ledger restore BACKUP --replace REASON'.",
            code=Code.RECORD_MISSING,
        )
    return int.from_bytes(header[_VERSION], "big")


def lacks_log(path: Path) -> bool:
    """Return whether a server had a ledger open, and the write-ahead log is gone. Nothing is written to the disk."""
    log = write_ahead_log(path)
    return not log.exists() and _was_open(path) and not log.exists()  # a server may have begun it just now


def check_writable(path: Path) -> None:
    """Raise UsageError FILE_UNWRITABLE unless a ledger and its folder can be written."""
    for place, name in ((path, "The ledger"), (path.parent, "The folder")):
        if not os.access(place, os.W_OK):
            raise UsageError(
                f"{name} {place} cannot be written.",
                advice="Give the user of the server the permission to write the ledger and its folder.",
                code=Code.FILE_UNWRITABLE,
            )


def check_missing(path: Path) -> None:
    """Raise UsageError RECORD_MISSING if a ledger that does not exist has left a part of it behind."""
    rest = write_ahead_log(path)
    if rest.exists() and rest.stat().st_size:
        raise UsageError(
            f"The ledger {path} is missing, and its part {rest.name} is there.",
            advice=f"Put {path.name} back beside it, or move {rest.name} away and restore the ledger from a backup.",
            code=Code.RECORD_MISSING,
        )


def _header(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, a pipe or a socket"
            raise _invalid(f"The ledger {path} is {kind}, not a file.", "Move it to another place. " + RESTORE)
        with path.open("rb") as file:
            return file.read(_HEADER_SIZE)
    except OSError as error:
        raise UsageError(f"The ledger {path} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE) from error


def _was_open(path: Path) -> bool:
    """Return whether the file alone says that a server has it open. Nothing is written to the disk."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return bool(connection.execute("SELECT running FROM ledger").fetchone() == (1,))
    except sqlite3.Error:
        return False  # damaged or of another version: found and told when it is opened


def _invalid(what: str, advice: str) -> UsageError:
    return UsageError(what, advice=advice, code=Code.LEDGER_INVALID)
