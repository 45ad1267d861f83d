"""A ledger's database in PostgreSQL, which several servers share.

Each step locks the row of the log's head first: so steps follow each other, and the order of their commits is that of
their indexes. The name of a server is a lock of the session that writes for it: when that session ends, for whatever
reason, the server can write nothing more, and another one may close what it has left open.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg import conninfo, errors, sql
from psycopg.types.numeric import Int8Dumper

from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.sql.database import Connection, DatabaseError, Row, Value
from provisioning_server.ledger.sql.lent_connections import LentConnections

TYPES: Final = {"index": "BIGINT", "bytes": "BYTEA", "strict": ""}
_WAIT_MS: Final = 20_000
"""For a lock of another server: longer than one that hangs in a step is let hold it."""
_HANG_MS: Final = 10_000
_STATEMENT_MS: Final = 60_000
_WORDS: Final = {
    "application_name": "provisioning-server",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
"""A network that is cut is noticed within half a minute."""
_SETTINGS: Final = (
    "SET synchronous_commit = on",
    f"SET lock_timeout = {_WAIT_MS}",
    f"SET statement_timeout = {_STATEMENT_MS}",
    f"SET idle_in_transaction_session_timeout = {_HANG_MS}",
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
_DAMAGED: Final = (errors.UndefinedTable, errors.UndefinedColumn, errors.DataCorrupted, errors.IndexCorrupted)
_LOCKS: Final = b"atcaprov ledger\n"


class PostgresqlConnection:
    """Runs statements on a connection of psycopg."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection
        self._warned = ""
        connection.add_notice_handler(self._notice)

    def rows(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        """Return all rows that a statement finds."""
        try:
            return self._connection.execute(_translated(statement), tuple(values)).fetchall()
        except psycopg.Error as error:
            raise failure(error) from error

    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        try:
            return self._connection.execute(_translated(statement), tuple(values)).rowcount
        except psycopg.Error as error:
            raise failure(error) from error

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        """Run a statement for each row of values; return how many rows were changed in all."""
        given = list(rows)
        if not given:
            return 0
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(_translated(statement), given)
                return cursor.rowcount
        except psycopg.Error as error:
            raise failure(error) from error

    def commit(self) -> None:
        """Commit; raises DatabaseError unless it is durable, as far as the server can tell."""
        self._warned = ""
        try:
            ended = self._connection.execute(b"COMMIT").statusmessage
        except psycopg.Error as error:
            raise failure(error) from error
        if ended != "COMMIT" or self._warned:  # such as a wait for the standby that was cancelled
            raise DatabaseError(self._warned or "the step was undone")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def _notice(self, notice: errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warned = _one_line(notice.message_primary or "")


class PostgresqlDatabase(LentConnections[PostgresqlConnection]):
    """The tables in one schema of a database. One thread at a time writes, on one connection from start to end."""

    types: Mapping[str, str] = TYPES
    remedy = "Check that PostgreSQL runs and has room"

    def __init__(self, url: PostgresqlUrl, *, read_only: bool = False) -> None:
        """Connect; raises DatabaseError."""
        self._url = url
        super().__init__()
        self._has_tables = False
        if read_only:
            self._readers.append(_connect(url, read_only=True))
        else:
            self._writer = _connect(url)
        self._finalizer = weakref.finalize(self, _close, self._readers, self._writer)

    @contextlib.contextmanager
    def making(self) -> Iterator[PostgresqlConnection]:
        """Hold the lock under which tables are made or changed: servers that start at once make one ledger."""
        writer = self._require_writer()
        lock = _lock(self._url.schema)
        writer.run("SELECT pg_advisory_lock(?)", (lock,))
        try:
            yield writer
        finally:
            with contextlib.suppress(DatabaseError):  # a connection that is gone holds no lock
                writer.run("SELECT pg_advisory_unlock(?)", (lock,))

    @contextlib.contextmanager
    def writing(self) -> Iterator[PostgresqlConnection]:
        """Begin the only transaction that writes; commit it durably at the end, or undo it if an error passes."""
        writer = self._require_writer()
        with self._writing:
            self._writing_thread = threading.get_ident()
            writer.run("BEGIN ISOLATION LEVEL READ COMMITTED")  # what follows the lock sees all that was before it
            try:
                self._lock_head(writer)
                yield writer
                writer.commit()
            except BaseException:
                with contextlib.suppress(DatabaseError):
                    writer.run("ROLLBACK")
                raise

    def _lock_head(self, writer: PostgresqlConnection) -> None:
        if not self._has_tables and not self.tables(writer):
            return  # they are made now, under the lock for that
        self._has_tables = True
        writer.rows("SELECT size FROM tree FOR UPDATE")

    def _new_reader(self) -> PostgresqlConnection:
        return _connect(self._url, read_only=True)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[PostgresqlConnection]:
        """Lend a connection that sees one state of the database from the first statement to the last."""
        with self.reading() as connection:
            connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield connection
            finally:
                with contextlib.suppress(DatabaseError):
                    connection.run("ROLLBACK")

    def claim(self, name: str, *, wait: bool = False) -> bool:
        """Take the name of a server for the session that writes; False if another session has it, or does not end."""
        writer, lock = self._require_writer(), self._lock_of(name)
        with self._writing:
            if not wait:
                return writer.rows("SELECT pg_try_advisory_lock(?)", (lock,)) == [(True,)]
            try:
                writer.rows("SELECT pg_advisory_lock(?)", (lock,))
            except DatabaseError as error:
                if isinstance(error.__cause__, errors.LockNotAvailable):
                    return False
                raise
            return True

    def release(self, name: str) -> None:
        """Give a name back."""
        with self._writing:
            self._require_writer().rows("SELECT pg_advisory_unlock(?)", (self._lock_of(name),))

    def note_version(self, connection: Connection, version: int) -> None:
        """Do nothing: the table `ledger` is the only place of the version."""

    def tables(self, connection: Connection) -> dict[str, list[str]]:
        """Return the tables in the schema of the ledger, and their columns; none if there is no such schema."""
        rows = connection.rows(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE n.nspname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
            (self._url.schema,),
        )
        found: dict[str, list[str]] = {}
        for table, column in rows:
            found.setdefault(table, []).append(column)
        return found

    def make_schema(self, connection: PostgresqlConnection) -> None:
        """Make the schema of the ledger, unless an administrator has done so."""
        if not connection.rows("SELECT 1 FROM pg_namespace WHERE nspname = ?", (self._url.schema,)):
            connection.run(_text(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self._url.schema))))

    def give_up(self) -> None:
        """End the session that writes, when its step is over: another server may close what this one has left open."""
        if self._writer is not None:
            with self._writing:
                self._writer.close()

    def close(self) -> None:
        """Close all connections."""
        self._finalizer()

    def _require_writer(self) -> PostgresqlConnection:
        if self._writer is None:
            raise DatabaseError("it was opened for reading only")
        return self._writer

    def _lock_of(self, name: str) -> int:
        return _lock(f"{self._url.schema}\n{name}")


def _connect(url: PostgresqlUrl, *, read_only: bool = False) -> PostgresqlConnection:
    try:
        words: dict[str, Any] = {**_WORDS, **conninfo.conninfo_to_dict(url.text)}
        connection = psycopg.connect(**words, autocommit=True)
    except psycopg.Error as error:
        raise failure(error) from error
    connection.adapters.register_dumper(int, Int8Dumper)  # or each size of a number prepares a statement of its own
    opened = PostgresqlConnection(connection)
    try:
        for setting in _SETTINGS:
            opened.run(setting)
        opened.run(_text(sql.SQL("SET search_path = {}").format(sql.Identifier(url.schema))))
        if read_only:
            opened.run("SET default_transaction_read_only = on")
    except DatabaseError:
        opened.close()
        raise
    return opened


def _close(readers: list[PostgresqlConnection], writer: PostgresqlConnection | None) -> None:
    while readers:
        readers.pop().close()
    if writer is not None:
        writer.close()


def failure(error: psycopg.Error) -> DatabaseError:
    """Return what a statement that failed says, in one line."""
    return DatabaseError(_one_line(str(error)) or type(error).__name__, damaged=isinstance(error, _DAMAGED))


def _one_line(text: str) -> str:
    lines = (line.strip().rstrip(".") for line in text.splitlines())
    return "; ".join(line for line in lines if line and not line.startswith(("LINE ", "^")))


def _lock(name: str) -> int:
    """Return the number of an advisory lock, signed with 64 bits."""
    return int.from_bytes(sha256(_LOCKS + name.encode()).digest()[:8], "big", signed=True)


def _text(composed: sql.Composed) -> str:
    return composed.as_string(None)


@functools.lru_cache(maxsize=512)
def _translated(statement: str) -> bytes:
    """Return a statement with the placeholders of psycopg."""
    return statement.replace("%", "%%").replace("?", "%s").encode()
