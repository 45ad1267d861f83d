"""An older ledger is brought to the newest version step by step; a step that is cut leaves the version before it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from provisioning_server.ledger.administration_bodies import ADMINISTRATIVE_KINDS
from provisioning_server.ledger.changes import Issued
from provisioning_server.ledger.entry_bodies import KINDS, decode
from provisioning_server.ledger.open_ledger import open_for_reading, open_ledger
from provisioning_server.ledger.sql import schema
from provisioning_server.ledger.sql.database import DatabaseError
from provisioning_server.ledger.sql.migration import migrate, stored_version
from provisioning_server.ledger.sql.sqlite_database import SqliteDatabase
from provisioning_server.ledger.store import SignerTally
from tests.provisioning_server.ledger.conftest import Store
from tests.provisioning_server.ledger.events import NOW, ONE_OF_EACH, challenge_of, intent, issued, step
from tests.provisioning_server.ledger.faulty_database import FaultyDatabase

_NEXT = (
    "CREATE TABLE fixtures (address TEXT PRIMARY KEY, name TEXT NOT NULL)",
    "ALTER TABLE certificates ADD COLUMN batch TEXT",
    "UPDATE certificates SET batch = 'before ' || client",
    "INSERT INTO fixtures (address, name) SELECT DISTINCT client, 'unnamed' FROM certificates",
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
                assert connection.rows("SELECT name FROM fixtures") == [("unnamed",)]
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


def test_ledger_can_be_read_while_the_program_runs_that_brought_it_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For hours after an update the new version stands in the write-ahead log alone: pages and commands must read it.

    A program that does not know it must not take the older header for the truth, when the newer one was killed.
    """
    path = tmp_path / "ledger.sqlite3"
    open_ledger(path, NOW).close()
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, _NEXT, _LAST))
        with contextlib.closing(open_ledger(path, NOW)) as ledger:
            with contextlib.closing(open_for_reading(path)) as read:
                assert read.head() == ledger.head()
            killed = tmp_path / "killed"
            killed.mkdir()
            for file in tmp_path.glob("ledger.sqlite3*"):
                shutil.copy(file, killed)
    with pytest.raises(UsageError) as refused:
        open_ledger(killed / path.name, NOW)
    assert refused.value.code == Code.LEDGER_VERSION


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
from provisioning_server.ledger.changes import Issued
from provisioning_server.ledger.entry_bodies import decode
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


_VERSIONS = sorted((Path(__file__).parent / "versions").glob("version-*.sql"))
"""A ledger of each version as text, as it was made by the program of that version."""


_ADDED_AFTER = {"version-1": frozenset(ADMINISTRATIVE_KINDS.values()), "version-2": frozenset[str]()}
_CRLS = {"version-1": 0, "version-2": 1}


def _stored(text: Path, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(text.read_text("utf-8"))


def _tables(path: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name").fetchall()
    return [(name, " ".join(sql.split())) for name, sql in found]


def test_a_ledger_of_each_version_is_kept() -> None:
    assert [path.name for path in _VERSIONS] == [f"version-{number}.sql" for number in range(1, _ABOVE + 1)]


@pytest.mark.parametrize("text", _VERSIONS, ids=lambda path: path.stem)
def test_ledger_of_each_version_is_brought_to_the_newest(text: Path, tmp_path: Path) -> None:
    path, fresh = tmp_path / "old.sqlite3", tmp_path / "new.sqlite3"
    _stored(text, path)
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        kept = [decode(entry.body.decode()) for entry in ledger.entries(0, 100)]
        kinds = {KINDS[type(event)] for event in kept}
        assert kinds == {KINDS[type(event)] for event in ONE_OF_EACH} - _ADDED_AFTER[text.stem]
        certificate = kept[0]
        assert isinstance(certificate, Issued)
        chip = certificate.record.chip_serial
        (stored,) = ledger.known([chip], [certificate.record.public_key]).of_chip(chip)
        assert (stored.record, stored.proven, stored.fate) == (certificate.record, NOW, "good")
        assert stored.revoked == (NOW if "revoked" in kinds else None)
        assert ledger.challenged(chip, challenge_of(77)) == stored
        assert ledger.reported(chip, certificate.challenge) in kept
        assert ledger.documents(certificate.record.documents) in ledger.known_documents()
        assert [each.chip_serial for each in ledger.open_intents()] == [intent(7).chip_serial]
        assert ledger.tally(certificate.record.signer_serial) == SignerTally(
            1, _CRLS[text.stem], 2, 12, chip, NOW, 28, -2
        )
        assert ledger.identity.epoch == 2
        step(ledger, issued(50))
    open_ledger(fresh, NOW).close()
    assert _tables(path) == _tables(fresh)
