"""Open the ledger in a database of PostgreSQL, or make a new one there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from atcaprov.errors import Code, UsageError
from atcaprov.missing_packages import extra_command
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.sql.database import Connection, DatabaseError
from provisioning_server.ledger.sql.migration import make_tables, migrate, require_version, stored_version
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.sql.state_check import check_state

if TYPE_CHECKING:
    from provisioning_server.ledger.sql.postgresql_database import PostgresqlDatabase

_SAFE: Final = {"fsync": "on", "full_page_writes": "on", "server_encoding": "UTF8"}
"""What the server must have: without the first two a power cut loses or damages steps that were acknowledged."""
_MARK: Final = ("ledger", "schema_version")
"""A table and a column by which a ledger is known."""
_RESTORE: Final = "Restore the database from a backup."


def open_shared_ledger(url: PostgresqlUrl, now: datetime) -> SqlLedger:
    """Open the ledger in a database; make it at the time `now` (UTC) if there is none.

    Raises:
        UsageError: LEDGER_UNREACHABLE, LEDGER_UNSAFE, LEDGER_INVALID, LEDGER_DAMAGED, LEDGER_VERSION, FILE_UNWRITABLE,
            LIBRARY_MISSING.
    """
    try:
        with _closed_on_error(_database(url)) as database:
            with database.making() as connection:
                _require_safe(url, connection)
                _require_writable(url, connection)
                if not _is_ledger(url, database, connection):
                    database.make_schema(connection)
                    make_tables(database, now)
                require_version(url, stored_version(database))
                migrate(database)
            check_state(database)
            return SqlLedger(database)
    except DatabaseError as error:
        raise _unusable(url, error) from error


def open_shared_for_reading(url: PostgresqlUrl, *, check: bool = True) -> SqlLedger:
    """Open a ledger that exists, also while servers write to it. Nothing can be written through it.

    Without `check` a log that contradicts itself is opened as it is. Raises UsageError as `open_shared_ledger`.
    """
    try:
        with _closed_on_error(_database(url, read_only=True)) as database:
            with database.reading() as connection:
                found = _is_ledger(url, database, connection)
            if not found:
                raise UsageError(
                    f"There is no ledger in the database {url}.",
                    advice="Check the URL of --ledger. The first start of a server makes the ledger.",
                    code=Code.FILE_UNREADABLE,
                )
            require_version(url, stored_version(database), read_only=True)
            if check:
                check_state(database)
            return SqlLedger(database)
    except DatabaseError as error:
        raise _unusable(url, error) from error


def _database(url: PostgresqlUrl, *, read_only: bool = False) -> PostgresqlDatabase:
    try:
        from provisioning_server.ledger.sql.postgresql_database import (
            PostgresqlDatabase,  # a ledger in a file needs no psycopg
        )
    except ImportError as error:
        raise UsageError(
            "A ledger on PostgreSQL needs the Python package psycopg, which is missing.",
            advice=f"Install it: {extra_command('postgresql')}",
            code=Code.LIBRARY_MISSING,
        ) from error
    return PostgresqlDatabase(url, read_only=read_only)


@contextlib.contextmanager
def _closed_on_error(database: PostgresqlDatabase) -> Iterator[PostgresqlDatabase]:
    try:
        yield database
    except BaseException:
        database.close()
        raise


def _require_safe(url: PostgresqlUrl, connection: Connection) -> None:
    for name, wanted in _SAFE.items():
        ((found,),) = connection.rows("SELECT current_setting(?)", (name,))
        if found != wanted:
            raise UsageError(
                f"The PostgreSQL of the ledger {url} has {name} = {found}; a ledger needs {wanted}.",
                advice="Make a database with the encoding UTF8."
                if name == "server_encoding"
                else f"Set {name} = {wanted} in its postgresql.conf, and restart it.",
                code=Code.LEDGER_UNSAFE,
            )


def _require_writable(url: PostgresqlUrl, connection: Connection) -> None:
    (standby, read_only) = connection.rows("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')")[0]
    if standby or read_only == "on":
        why = "it is a standby" if standby else "default_transaction_read_only is on"
        raise UsageError(
            f"The ledger {url} cannot be written: {why}.",
            advice="Name the primary server, and let the role of the server write.",
            code=Code.FILE_UNWRITABLE,
        )


def _is_ledger(url: PostgresqlUrl, database: PostgresqlDatabase, connection: Connection) -> bool:
    """Return whether the schema holds a ledger; False if it holds nothing. Raises UsageError LEDGER_INVALID."""
    tables = database.tables(connection)
    table, column = _MARK
    if tables and column not in tables.get(table, ()):
        raise UsageError(
            f"The schema {url.schema} of {url} holds tables of another program: {', '.join(sorted(tables))}.",
            advice="Name another database with --ledger.",
            code=Code.LEDGER_INVALID,
        )
    if tables and connection.rows("SELECT has_schema_privilege(?, 'USAGE')", (url.schema,)) != [(True,)]:
        raise DatabaseError(f"permission denied for schema {url.schema}")
    return bool(tables)


def _unusable(url: PostgresqlUrl, error: DatabaseError) -> UsageError:
    if error.damaged:
        return UsageError(f"The ledger {url} is damaged: {error}.", advice=_RESTORE, code=Code.LEDGER_DAMAGED)
    return UsageError(
        f"The ledger {url} cannot be opened: {error}.",
        advice="Check that PostgreSQL runs and can be reached, and the user, database and permissions of the URL.",
        code=Code.LEDGER_UNREACHABLE,
    )
