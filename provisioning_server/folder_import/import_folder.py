"""Import the records of a data folder of an older version: a ledger beside them, put in place when it is whole."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import status
from atcaprov.errors import Code, UsageError
from provisioning_server.folder_import.lost_records import require_recorded
from provisioning_server.folder_import.old_records import OldRecords, holds_records
from provisioning_server.folder_import.transfer import compare, write
from provisioning_server.ledger.changes import FolderImported
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger

_FRESH: Final = f"{FILE_NAME}.import"
"""The ledger while it is made. What a run that was cut has left is removed by the next one."""
_BESIDE: Final = ("-wal", "-shm", "-journal")
"""Ends of the names of SQLite's files beside a database."""


_MADE_AFTER_IT: Final = "server-id"


@dataclass(frozen=True, slots=True)
class ImportedFolder:
    """What was imported, or would be: the entry, the number of certificates, of signer documents."""

    entry: FolderImported
    certificates: int
    documents: int


def needs_import(data: Path) -> bool:
    """Tell whether a data folder has records of an older version and never had a ledger.

    Raises:
        UsageError: RECORD_MISSING if it had a ledger that is not there; FILE_UNREADABLE.
    """
    if status(data / FILE_NAME) is not None:
        return False
    if status(data / _MADE_AFTER_IT) is not None:
        raise UsageError(
            f"The ledger {data / FILE_NAME} is missing, and was there before: {data / _MADE_AFTER_IT} belongs to it.",
            advice="Put it back, or run 'provisioning-server ledger restore' with its newest backup.",
            code=Code.RECORD_MISSING,
        )
    return holds_records(data)


def import_folder(data: Path, now: datetime) -> ImportedFolder:
    """Make the ledger of a data folder from its old records, which stay as they are. The caller holds the folder.

    Raises:
        UsageError: FILE_INVALID or RECORD_MISSING with file and line, FILE_UNREADABLE, USAGE if there is a ledger.
        AtcaProvError: RECORDS_FAILED. In each case there is no new ledger.
    """
    _require_no_ledger(data)
    fresh = data / _FRESH
    _remove(fresh)
    try:
        imported = _make(data, fresh, now)
        _put_in_place(fresh, data / FILE_NAME)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove(fresh)
        raise
    return imported


def check_folder(data: Path, now: datetime) -> ImportedFolder:
    """Do the same in a temporary folder and leave nothing; raises as `import_folder`."""
    _require_no_ledger(data)
    with tempfile.TemporaryDirectory(prefix="atcaprov-import-") as folder:
        return _make(data, Path(folder) / FILE_NAME, now)


def _make(data: Path, fresh: Path, now: datetime) -> ImportedFolder:
    with contextlib.closing(open_ledger(fresh, now)) as ledger:
        old = OldRecords(data)
        entry = write(old, ledger, now)
        compare(OldRecords(data), ledger)
        require_recorded(data, ledger)
        return ImportedFolder(entry, old.certificates, len(old.documents))


def _require_no_ledger(data: Path) -> None:
    if status(data / FILE_NAME) is not None:
        raise UsageError(
            f"The data folder {data} has a ledger: its older records were imported before.",
            advice="Nothing needs to be done.",
        )
    if not holds_records(data):
        raise UsageError(
            f"The data folder {data} has no records of an older version.",
            advice="Name the folder of the server with --data.",
        )


def _put_in_place(fresh: Path, ledger: Path) -> None:
    """Give the file its name. All of it is in this one file: closing it has emptied SQLite's write-ahead log."""
    left = [end for end in _BESIDE if status(fresh.with_name(fresh.name + end)) is not None]
    if left:
        raise UsageError(
            f"The new ledger {fresh} is open in another program.",
            advice="Close that program, then start the server again.",
            code=Code.FILE_UNWRITABLE,
        )
    try:
        fresh.rename(ledger)
        durable_files.sync_folder(ledger.parent)
    except OSError as error:
        raise UsageError(f"{ledger} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error


def _remove(fresh: Path) -> None:
    for end in ("", *_BESIDE):
        fresh.with_name(fresh.name + end).unlink(missing_ok=True)
