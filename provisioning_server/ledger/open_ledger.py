"""Open a ledger, or make a new one: a file of SQLite in the data folder."""

from __future__ import annotations

import contextlib
import secrets
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import status
from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.transparency.merkle import EMPTY_ROOT
from provisioning_server.ledger.sql import schema
from provisioning_server.ledger.sql.database import Database, DatabaseError
from provisioning_server.ledger.sql.sql_ledger import SqlLedger, room_on_disk
from provisioning_server.ledger.sql.sqlite_database import SqliteDatabase
from provisioning_server.ledger.sql.written_step import seconds

FILE_NAME: Final = "ledger.sqlite3"
ROOM_MIN: Final = 16 * 1024 * 1024
"""Bytes that the disk must still take before a client is told to begin with a chip; a certificate takes about 5,000."""
_MODE: Final = 0o640
_LEDGER_ID_SIZE: Final = 16


def open_ledger(path: Path, now: datetime) -> SqlLedger:
    """Open the ledger in a file; make it at the time `now` (UTC) if there is no such file.

    Raises:
        UsageError: the file is damaged, of another program or of a newer version.
        AtcaProvError: RECORDS_FAILED if it cannot be read or written.
    """
    try:
        if not path.exists():
            _create(path, now)
        database = SqliteDatabase(path)
    except (OSError, DatabaseError) as error:
        raise _unusable(path, getattr(error, "strerror", None) or str(error)) from error
    return SqlLedger(database, lambda: room_on_disk(path, ROOM_MIN))


def open_for_reading(path: Path) -> SqlLedger:
    """Open a ledger that exists, also while a server writes to it. Nothing can be written through it.

    Raises:
        UsageError: there is none, or as `open_ledger`.
    """
    if status(path) is None:
        raise UsageError(
            f"There is no ledger {path}.",
            advice="Name the folder of the server with --data.",
            code=Code.FILE_UNREADABLE,
        )
    try:
        return SqlLedger(SqliteDatabase(path, read_only=True))
    except DatabaseError as error:
        raise _unusable(path, str(error)) from error


def _create(path: Path, now: datetime) -> None:
    """Make the file under another name first: a ledger is whole, or it does not exist."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    durable_files.write_new(fresh, b"", _MODE)
    database = SqliteDatabase(fresh, new=True)
    with contextlib.closing(database):
        make_tables(database, now)
    fresh.replace(path)
    durable_files.sync_folder(path.parent)


def make_tables(database: Database, now: datetime) -> None:
    """Make the tables of a new ledger in an empty database."""
    with database.writing() as connection:
        for version in range(schema.NEWEST_VERSION):
            for statement in schema.statements(version, database.types):
                connection.run(statement)
        connection.run(
            "INSERT INTO ledger (single, schema_version, ledger_id, epoch, created) VALUES (1, ?, ?, 1, ?)",
            (schema.NEWEST_VERSION, secrets.token_bytes(_LEDGER_ID_SIZE), seconds(now)),
        )
        connection.run("INSERT INTO tree (single, size, root, newest) VALUES (1, 0, ?, NULL)", (EMPTY_ROOT,))


def _unusable(path: Path, reason: str) -> AtcaProvError:
    return UsageError(
        f"The ledger {path} cannot be used: {reason}.",
        advice="Check its permissions and its disk.",
        code=Code.FILE_UNREADABLE,
    )
