"""The checker reads a ledger of PostgreSQL as it reads one of SQLite: the same rows, the same verdict."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql import schema
from tests.provisioning_server.ledger.events import NOW, intent, issued, lost, reported, step
from tests.soak.acknowledged import Acknowledgement
from tests.soak.checker import Contents, problems
from tests.support.postgresql import running_postgresql

pytestmark = pytest.mark.slow

TYPES = {"index": "BIGINT", "bytes": "BYTEA", "strict": ""}
TABLES = ("entries", "certificates", "tree", "intents", "signers")
CERTIFICATE = b"certificate"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(open_ledger(tmp_path / FILE_NAME, NOW)) as ledger:
        for number in (1, 2):
            event = issued(number)
            own = replace(event.record, certificate=CERTIFICATE + bytes([number]))
            step(ledger, replace(event, record=own), intents=[intent(100 + number)])
        step(ledger, reported(0, 1), lost(intent(9)))
    return tmp_path / FILE_NAME


@pytest.fixture
def url(path: Path) -> Iterator[str]:
    """A database with the rows of the ledger."""
    with running_postgresql() as server, closing(sqlite3.connect(path)) as source:
        url = server.make_database("ledger")
        with psycopg.connect(url) as target, target.cursor() as cursor:
            for version in range(len(schema.MIGRATIONS)):
                for statement in schema.statements(version, TYPES):
                    cursor.execute(statement.encode())
            for table in TABLES:
                rows = source.execute(f"SELECT * FROM {table}").fetchall()
                marks = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})".encode(), rows)
        yield url


def test_the_same_rows_get_the_same_verdict(path: Path, url: str) -> None:
    assert Contents.of(url) == Contents.of(path)
    told = [
        Acknowledgement(number, sha256(CERTIFICATE + bytes([number])).hexdigest(), proven=number == 1)
        for number in (1, 2)
    ]
    assert not problems(Contents.of(url), told)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE certificates SET proven = NULL")
    assert problems(Contents.of(url), told) == ["the acknowledged proof of chip 1 is missing"]
