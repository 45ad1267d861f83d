"""A ledger's database in one SQLite file, in WAL mode: readers never wait for the writer, nor it for them.

`synchronous=FULL`: a commit returns when it is on the disk. Only this process writes; others may read meanwhile.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from provisioning_server.ledger.sql.database import DatabaseError, Row, Value

TYPES: Final = {"index": "INTEGER", "bytes": "BLOB", "strict": " STRICT"}
APPLICATION_ID: Final = 0x41544C47
"""`ATLG`, in the header of the file."""
_WAIT: Final = 10
"""Seconds for a lock that another process holds for a moment, such as a backup."""
_SETTINGS: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",  # macOS: or the disk's own cache loses what was synced
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA cache_size=-16384",  # KiB
    "PRAGMA temp_store=MEMORY",
    "PRAGMA trusted_schema=OFF",
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


class SqliteDatabase:
    """The database in a file that exists. One thread at a time writes; what that thread reads comes from its cache."""

    types: Mapping[str, str] = TYPES

    def __init__(self, path: Path, *, read_only: bool = False, new: bool = False) -> None:
        """Open the file; raises DatabaseError. `new` marks an empty file as a ledger; it gets no log of its own."""
        self._uri = path.absolute().as_uri()
        self._writing = threading.RLock()
        self._writing_thread: int | None = None
        self._readers: list[SqliteConnection] = []  # those that no one uses
        self._writer: SqliteConnection | None = None
        if not read_only:
            self._writer = self._connect("rw")
            if new:
                self._writer.run(f"PRAGMA application_id={APPLICATION_ID}")
                return
            mode = self._writer.rows("PRAGMA journal_mode=WAL")
            if mode != [("wal",)]:
                raise DatabaseError("its file system has no shared memory, which SQLite needs for its log")

    @contextlib.contextmanager
    def writing(self) -> Iterator[SqliteConnection]:
        """Begin the only transaction that writes; commit it durably at the end, or undo it if an error passes."""
        if self._writer is None:
            raise DatabaseError("it was opened for reading only")
        with self._writing:
            self._writing_thread = threading.get_ident()
            self._writer.run("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.run("COMMIT")
            except BaseException:
                with contextlib.suppress(DatabaseError):  # after a full disk SQLite has undone it by itself
                    self._writer.run("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[SqliteConnection]:
        """Lend a connection that sees what is committed; from any thread."""
        if self._writer is not None and self._writing_thread == threading.get_ident():
            with self._writing:
                yield self._writer
            return
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = self._connect("ro")
        try:
            yield reader
        finally:
            self._readers.append(reader)

    def close(self) -> None:
        """Close all connections; the last one moves the write-ahead log into the file."""
        while self._readers:
            self._readers.pop().close()
        if self._writer is not None:
            self._writer.close()

    def _connect(self, mode: str) -> SqliteConnection:
        try:
            connection = sqlite3.connect(
                f"{self._uri}?mode={mode}", uri=True, timeout=_WAIT, isolation_level=None, check_same_thread=False
            )
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
    return DatabaseError(str(error))
