"""Make the tables of a new ledger, and bring an older one to the newest version.

Each version is reached in one transaction: a step that is cut leaves the version before it.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov.errors import Code, UsageError
from atcaprov.transparency.merkle import EMPTY_ROOT
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.sql import schema
from provisioning_server.ledger.sql.database import Connection, Database, DatabaseError
from provisioning_server.ledger.sql.written_step import seconds

_LEDGER_ID_SIZE: Final = 16


def require_version(place: Path | PostgresqlUrl, version: int, *, read_only: bool = False) -> None:
    """Raise UsageError LEDGER_VERSION for a ledger that is newer than this program, or too old to be read only."""
    newest = len(schema.MIGRATIONS)
    if version > newest:
        raise UsageError(
            f"The ledger {place} has version {version}; this program knows versions up to {newest}.",
            advice="Use the newer version of the program that wrote it.",
            code=Code.LEDGER_VERSION,
        )
    if version < newest and read_only:
        raise UsageError(
            f"The ledger {place} has version {version}; this program reads version {newest}.",
            advice="Start the server once: it brings its ledger to the new version.",
            code=Code.LEDGER_VERSION,
        )


def make_tables(database: Database, now: datetime) -> None:
    """Make the tables of a new ledger in an empty database, at the time `now` (UTC)."""
    with database.writing() as connection:
        for version in range(len(schema.MIGRATIONS)):
            _reach(database, connection, version)
        connection.run(
            "INSERT INTO ledger (single, schema_version, ledger_id, epoch, created, running) VALUES (1, ?, ?, 1, ?, 0)",
            (len(schema.MIGRATIONS), secrets.token_bytes(_LEDGER_ID_SIZE), seconds(now)),
        )
        connection.run("INSERT INTO tree (single, size, root, newest) VALUES (1, 0, ?, NULL)", (EMPTY_ROOT,))


def migrate(database: Database) -> None:
    """Bring a ledger to the newest version, from whichever older one it has."""
    while (version := stored_version(database)) < len(schema.MIGRATIONS):
        with database.writing() as connection:
            _reach(database, connection, version)
            connection.run("UPDATE ledger SET schema_version = ?", (version + 1,))


def stored_version(database: Database) -> int:
    """Return the version of a ledger."""
    with database.reading() as connection:
        rows = connection.rows("SELECT schema_version FROM ledger")
    if len(rows) != 1:
        raise DatabaseError("it has no head", damaged=True)
    return int(rows[0][0])


def _reach(database: Database, connection: Connection, version: int) -> None:
    for statement in schema.statements(version, database.types):
        connection.run(statement)
    database.note_version(connection, version + 1)
