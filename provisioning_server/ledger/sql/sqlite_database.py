"""A ledger's database in one SQLite file, in WAL mode: readers never wait for the writer, nor it for them.

`synchronous=FULL`: a commit returns when it is on the disk. Only this process writes; others may read meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from provisioning_server.ledger.sql.database import Connection, DatabaseError, Row, Value
from provisioning_server.ledger.sql.lent_connections import LentConnections
from provisioning_server.ledger.sql.sqlite_file import APPLICATION_ID, write_ahead_log

TYPES: Final = {"index": "INTEGER", "bytes": "BLOB", "strict": " STRICT"}
_WAIT: Final = 10
"""Seconds for a lock that another process holds for a moment, such as a backup."""
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""The last one: the statements are right, so a table is missing or another one."""
_SETTINGS: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",  # macOS: or the disk's own cache loses what was synced
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA cache_size=-16384",  # KiB
    "PRAGMA trusted_schema=OFF",
    "PRAGMA wal_autocheckpoint=4000",  # pages, 16 MB: a page that several steps change is moved into the file once
)


class SqliteConnection:
    """Runs statements on a connection of SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        """Return all rows that a statement finds."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _translated(error) from error

    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        try:
            return self._connection.execute(statement, values).rowcount
        except sqlite3.Error as error:
            raise _translated(error) from error

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        """Run a statement for each row of values; return how many rows were changed in all."""
        try:
            return self._connection.executemany(statement, rows).rowcount
        except sqlite3.Error as error:
            raise _translated(error) from error

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class SqliteDatabase(LentConnections[SqliteConnection]):
    """The database in a file that exists. One thread at a time writes; what that thread reads comes from its cache.

    While it is open for writing, the file says so (`running`): if the write-ahead log is missing then, steps are lost.
    """

    types: Mapping[str, str] = TYPES
    remedy = "Remove the cause, such as a full disk"

    def __init__(self, path: Path, *, read_only: bool = False, unchanging: bool = False, new: bool = False) -> None:
        """Open the file; raises DatabaseError. `new`: mark an empty file as a ledger, which has no tables yet.

        An `unchanging` file is read without locks, and no file is made beside it.
        """
        self._path = path
        self._reading_mode = "ro&immutable=1" if unchanging else "ro"
        super().__init__()
        self._places: list[tuple[int, int]] = []
        if read_only:
            return
        self._writer = _connect(path, "rw")
        self._finalizer = weakref.finalize(self, _close, path, self._readers, self._writer)
        if new:
            self._writer.run(f"PRAGMA application_id={APPLICATION_ID}")
            return
        try:
            self._begin_log(self._writer)
            self._places = self._found_places()
        except DatabaseError:
            self._finalizer()
            raise

    def require_in_place(self) -> None:
        """Raise DatabaseError if the file or its log was moved, removed or replaced: a step would be lost with it."""
        if self._places and self._found_places() != self._places:
            raise DatabaseError(
                f"{self._path} or its write-ahead log was moved, removed or replaced while the server runs"
            )

    def _found_places(self) -> list[tuple[int, int]]:
        """Return device and inode of the file and of its write-ahead log."""
        try:
            found = [os.stat(path) for path in (self._path, f"{self._path}-wal")]  # noqa: PTH116 - for each step
        except OSError as error:
            raise DatabaseError(f"{error.filename} cannot be found: {error.strerror}") from error
        return [(status.st_dev, status.st_ino) for status in found]

    @staticmethod
    def _begin_log(writer: SqliteConnection) -> None:
        if writer.rows("PRAGMA journal_mode=WAL") != [("wal",)]:
            raise DatabaseError("its file system has no shared memory, which SQLite needs for its write-ahead log")
        writer.run("UPDATE ledger SET running = 1")  # first in the log, so the file says so only while there is a log
        writer.rows("PRAGMA wal_checkpoint(PASSIVE)")

    @contextlib.contextmanager
    def writing(self) -> Iterator[SqliteConnection]:
        """Begin the only transaction that writes; commit it durably at the end, or undo it if an error passes."""
        if self._writer is None:
            raise DatabaseError("it was opened for reading only")
        with self._writing:
            self._writing_thread = threading.get_ident()
            self.require_in_place()
            self._writer.run("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.run("COMMIT")
                self.require_in_place()  # before anything of the step is sent
            except BaseException:
                with contextlib.suppress(DatabaseError):  # after a full disk SQLite has undone it by itself
                    self._writer.run("ROLLBACK")
                raise

    def _new_reader(self) -> SqliteConnection:
        return _connect(self._path, self._reading_mode)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[SqliteConnection]:
        """Lend a connection that sees one state of the database from the first statement to the last."""
        with self.reading() as connection:
            connection.run("BEGIN")
            try:
                yield connection
            finally:
                connection.run("ROLLBACK")

    def note_version(self, connection: Connection, version: int) -> None:
        """Write the version of the tables into the header of the file."""
        connection.run(f"PRAGMA user_version={version}")

    def claim(self, name: str, *, wait: bool = False) -> bool:
        """Return True for the server itself, which waits: it has the lock of the data folder. No other can be told."""
        return wait

    def release(self, name: str) -> None:
        """Do nothing."""

    def give_up(self) -> None:
        """Do nothing: no other program waits."""

    def close(self) -> None:
        """Close all connections; the last one moves the write-ahead log into the file, unless someone reads it."""
        if self._writer is None:
            while self._readers:
                self._readers.pop().close()
        else:
            self._finalizer()


def _close(path: Path, readers: list[SqliteConnection], writer: SqliteConnection) -> None:
    """Close connections, and let the file say that it is complete. Called too when the program ends without `close`."""
    while readers:
        readers.pop().close()
    with contextlib.suppress(DatabaseError):
        _stopped(writer)
    writer.close()
    if write_ahead_log(path).exists():
        return  # someone reads it, or the disk has failed: it remains a part of the ledger
    with contextlib.suppress(DatabaseError):  # the file is complete, and must not say otherwise
        again = _connect(path, "rw")
        _stopped(again)
        again.close()


def _stopped(connection: SqliteConnection) -> None:
    """Leave one file that says it is complete; it can be read where nothing can be written."""
    connection.run("PRAGMA busy_timeout=0")
    if connection.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'") == [(1,)]:
        connection.run("UPDATE ledger SET running = 0 WHERE running = 1")
    connection.rows("PRAGMA journal_mode=DELETE")


def _connect(path: Path, mode: str) -> SqliteConnection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _translated(error) from error
    opened = SqliteConnection(connection)
    try:
        for setting in _SETTINGS:
            opened.run(setting)
    except DatabaseError:
        opened.close()
        raise
    return opened


def _translated(error: sqlite3.Error) -> DatabaseError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return DatabaseError(str(error), damaged=code in _DAMAGED)
