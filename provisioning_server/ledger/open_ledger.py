"""Open a ledger, or make a new one: a file of SQLite in the data folder, or a database of PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import status
from atcaprov.errors import AtcaProvError, Code, UsageError
from provisioning_server.ledger.ledger_place import FILE_NAME, PostgresqlUrl
from provisioning_server.ledger.open_postgresql import open_shared_for_reading, open_shared_ledger
from provisioning_server.ledger.sql.database import DatabaseError
from provisioning_server.ledger.sql.migration import make_tables, migrate, require_version, stored_version
from provisioning_server.ledger.sql.sql_ledger import SqlLedger, room_on_disk
from provisioning_server.ledger.sql.sqlite_database import SqliteDatabase
from provisioning_server.ledger.sql.sqlite_file import RESTORE, check_file, check_missing, check_writable
from provisioning_server.ledger.sql.state_check import check_state

__all__ = ["FILE_NAME", "ROOM_MIN", "open_for_reading", "open_ledger", "open_unchanging"]
ROOM_MIN: Final = 16 * 1024 * 1024
"""Bytes that the disk must still take before a client is told to begin with a chip; a certificate takes about 5,000."""
_ENTRY_SIZE: Final = 4096
"""Bytes by which the files grow for an administrative entry, at most: 10,000 revocations take 27 MB."""
_MODE: Final = 0o640


def open_ledger(path: Path | PostgresqlUrl, now: datetime) -> SqlLedger:
    """Open the ledger in a file or a database; make it at the time `now` (UTC) if there is none.

    Raises:
        UsageError: LEDGER_INVALID, LEDGER_DAMAGED, LEDGER_VERSION, RECORD_MISSING, FILE_UNREADABLE, FILE_UNWRITABLE; in
            a database as `open_shared_ledger`.
    """
    if isinstance(path, PostgresqlUrl):
        return open_shared_ledger(path, now)
    try:
        if status(path) is None:
            check_missing(path)
            _create(path, now)
        require_version(path, check_file(path))
        check_writable(path)
        database = SqliteDatabase(path)
        try:
            require_version(path, stored_version(database))  # the header of the file may be older: see `_read_only`
            migrate(database)
            return _checked(database, lambda entries: _has_room(database, path, entries))
        except BaseException:
            database.close()
            raise
    except (OSError, DatabaseError) as error:
        raise _unusable(path, error) from error


def open_for_reading(path: Path | PostgresqlUrl, *, check: bool = True) -> SqlLedger:
    """Open a ledger that exists, also while a server writes to it. Nothing can be written through it.

    Without `check` a log that contradicts itself is opened as it is, for an auditor who names all that is wrong.

    Raises:
        UsageError: there is none, or as `open_ledger`.
    """
    if isinstance(path, PostgresqlUrl):
        return open_shared_for_reading(path, check=check)
    return _read_only(path, unchanging=False, check=check)


def open_unchanging(path: Path) -> SqlLedger:
    """Open a ledger that no one writes to, such as a backup, and make no file beside it; raises as `open_for_reading`.

    The file must be whole: what stands in a write-ahead log beside it is not seen.
    """
    return _read_only(path, unchanging=True, check=True)


def _read_only(path: Path, *, unchanging: bool, check: bool) -> SqlLedger:
    if status(path) is None:
        raise UsageError(
            f"There is no ledger {path}.",
            advice="Name the folder of the server with --data.",
            code=Code.FILE_UNREADABLE,
        )
    require_version(path, check_file(path))
    try:
        database = SqliteDatabase(path, read_only=True, unchanging=unchanging)
        try:  # the version in the header is that of before, as long as the newest one is in the write-ahead log
            require_version(path, stored_version(database), read_only=True)
            return _checked(database) if check else SqlLedger(database)
        except BaseException:
            database.close()
            raise
    except DatabaseError as error:
        raise _unusable(path, error) from error


def _has_room(database: SqliteDatabase, path: Path, entries: int) -> bool:
    database.require_in_place()  # before a client begins with a chip
    return room_on_disk(path, ROOM_MIN + entries * _ENTRY_SIZE)


def _create(path: Path, now: datetime) -> None:
    """Make the file under another name first: a ledger is whole, or it does not exist."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    durable_files.write_new(fresh, b"", _MODE)
    with contextlib.closing(SqliteDatabase(fresh, new=True)) as database:
        make_tables(database, now)
    fresh.replace(path)
    durable_files.sync_folder(path.parent)


def _checked(database: SqliteDatabase, has_room: Callable[[int], bool] = lambda _: True) -> SqlLedger:
    check_state(database)
    return SqlLedger(database, has_room)


def _unusable(path: Path, error: OSError | DatabaseError) -> AtcaProvError:
    if isinstance(error, DatabaseError) and error.damaged:
        return UsageError(f"The ledger {path} is damaged: {error}.", advice=RESTORE, code=Code.LEDGER_DAMAGED)
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return UsageError(
        f"The ledger {path} cannot be opened: {reason}.",
        advice="Make room on its disk, and check its permissions and whether another program has it open.",
        code=Code.FILE_UNREADABLE,
    )
