"""An older ledger is brought to the newest version step by step; a step that is cut leaves the version before it."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from provisioning_server.ledger.open_ledger import open_for_reading, open_ledger
from provisioning_server.ledger.sql import schema
from provisioning_server.ledger.sql.database import DatabaseError
from provisioning_server.ledger.sql.migration import migrate, stored_version
from provisioning_server.ledger.sql.sqlite_database import SqliteDatabase
from tests.provisioning_server.ledger.conftest import Store
from tests.provisioning_server.ledger.events import NOW, ONE_OF_EACH, intent, step
from tests.provisioning_server.ledger.faulty_database import FaultyDatabase

_NEXT = (
    "CREATE TABLE stations (address TEXT PRIMARY KEY, name TEXT NOT NULL)",
    "ALTER TABLE certificates ADD COLUMN batch TEXT",
    "UPDATE certificates SET batch = 'before ' || client",
    "INSERT INTO stations (address, name) SELECT DISTINCT client, 'unnamed' FROM certificates",
    "CREATE INDEX certificates_batch ON certificates (batch)",
)
_LAST = ("ALTER TABLE intents ADD COLUMN batch TEXT",)
_ABOVE = len(schema.MIGRATIONS)


@pytest.fixture
def older(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A filled ledger of this version, for a program that is two versions newer."""
    with contextlib.closing(store.open()) as ledger:
        step(ledger, *ONE_OF_EACH, intents=[intent(7)])
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, _NEXT, _LAST))
    return store


def _version_and_contents(store: Store) -> tuple[int, bool, bool]:
    """The version; whether what the next one has is there, all of it; and the same for the one after it."""
    database = store.database()
    with contextlib.closing(database):
        version = stored_version(database)
        with database.reading() as connection:
            next_one, last = True, True
            try:
                assert connection.rows("SELECT name FROM stations") == [("unnamed",)]
                assert connection.rows("SELECT batch FROM certificates") == [("before 192.0.2.7:40312",)]
            except DatabaseError:
                next_one = False
            try:
                assert connection.rows("SELECT batch FROM intents") == [(None,)]
            except DatabaseError:
                last = False
    return version, next_one, last


def test_ledger_is_brought_over_several_versions(older: Store) -> None:
    with contextlib.closing(older.open()) as ledger:
        assert ledger.head().size == len(ONE_OF_EACH)
        assert list(ledger.open_intents()) == [intent(7)]
    assert _version_and_contents(older) == (_ABOVE + 2, True, True)


@pytest.mark.slow
def test_migration_that_is_cut_leaves_a_whole_version(older: Store) -> None:
    found = [_version_and_contents(older)]
    operation = 1
    while True:
        database = FaultyDatabase(older.database())
        database.failing = operation
        with contextlib.closing(database):
            try:
                migrate(database)
            except DatabaseError:
                found.append(_version_and_contents(older))
            else:
                break
        operation = operation + 1 if found[-1] == found[-2] else 1
    assert sorted(set(found)) == [(_ABOVE + each, each > 0, each > 1) for each in range(3)]
    assert found == sorted(found)
    assert len(found) > len(_NEXT) + len(_LAST)


_KILLED = """
import os, sys
from pathlib import Path
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.sql import schema, sqlite_database
from tests.provisioning_server.ledger.events import NOW
from tests.provisioning_server.ledger.test_migration import _LAST, _NEXT
schema.MIGRATIONS = (*schema.MIGRATIONS, _NEXT, _LAST)
run = sqlite_database.SqliteConnection.run
left = int(sys.argv[2])
def counted(self, statement, values=()):
    global left
    if statement in (*_NEXT, *_LAST, "COMMIT"):
        left -= 1
        if not left:
            os._exit(9)
    return run(self, statement, values)
sqlite_database.SqliteConnection.run = counted
open_ledger(Path(sys.argv[1]), NOW).close()
"""


@pytest.mark.slow
def test_migration_whose_program_is_killed_goes_on_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        step(ledger, *ONE_OF_EACH, intents=[intent(7)])
    store = Store(lambda: open_ledger(path, NOW), lambda: SqliteDatabase(path))
    found = []
    for statement in (2, len(_NEXT), len(_NEXT) + 1, len(_NEXT) + 2):
        killed = subprocess.run([sys.executable, "-c", _KILLED, str(path), str(statement)], check=False)
        assert killed.returncode == 9
        found.append(_version_and_contents(store))
    assert found == [(_ABOVE, False, False)] * 3 + [(_ABOVE + 1, True, False)]
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, _NEXT, _LAST))
    store.open().close()
    assert _version_and_contents(store) == (_ABOVE + 2, True, True)


def test_command_does_not_migrate(older: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite3"
    with monkeypatch.context() as now:
        now.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:_ABOVE])
        open_ledger(path, NOW).close()
    before = path.read_bytes()
    with pytest.raises(UsageError, match=f"has version {_ABOVE}; this program reads version {_ABOVE + 2}") as raised:
        open_for_reading(path)
    assert raised.value.code == Code.LEDGER_VERSION
    assert path.read_bytes() == before
    open_ledger(path, NOW).close()  # as the advice says
    open_for_reading(path).close()


def test_version_stands_in_the_header_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    open_ledger(path, NOW).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (_ABOVE,)
        assert connection.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"ATLG", "big"),)
