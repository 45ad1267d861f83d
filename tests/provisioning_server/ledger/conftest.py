from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql import postgresql_database, sqlite_database
from provisioning_server.ledger.sql.database import Database
from provisioning_server.ledger.sql.postgresql_database import PostgresqlDatabase
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.sql.sqlite_database import SqliteDatabase
from tests.provisioning_server.ledger.events import NOW
from tests.support.postgresql import PostgresqlServer, running_postgresql

OpenStore = Callable[[], SqlLedger]
"""Open the same store once more, as the next start of a server does."""


@pytest.fixture(autouse=True)
def not_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the disk out of tests of what is written: no power is cut here."""
    settings = (*sqlite_database._SETTINGS, "PRAGMA synchronous=OFF")
    monkeypatch.setattr(sqlite_database, "_SETTINGS", settings)
    quick = (*postgresql_database._SETTINGS, "SET synchronous_commit = off")
    monkeypatch.setattr(postgresql_database, "_SETTINGS", quick)


@dataclass(frozen=True)
class Store:
    """A place for one ledger: how it is opened, or made, and the database under it once it is made."""

    open: OpenStore
    database: Callable[[], Database]


def _sqlite(folder: Path) -> Store:
    path = folder / FILE_NAME
    return Store(lambda: open_ledger(path, NOW), lambda: SqliteDatabase(path))


def _postgresql(server: PostgresqlServer) -> Store:
    url = PostgresqlUrl(server.url(), schema=f"ledger_{secrets.token_hex(4)}")
    return Store(lambda: open_ledger(url, NOW), lambda: PostgresqlDatabase(url))


@pytest.fixture(scope="session")
def quick_postgresql() -> Iterator[PostgresqlServer]:
    """A server for tests of what is written."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Store]:
    """Return a maker of empty stores of each kind in turn; all that is asked of one is asked of the others."""
    server = request.getfixturevalue("quick_postgresql") if request.param == "postgresql" else None

    def make() -> Store:
        store = _sqlite(tmp_path_factory.mktemp("store")) if server is None else _postgresql(server)
        store.open().close()
        return store

    return make


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Store:
    """A new store of each kind in turn."""
    return new_store()


@pytest.fixture
def open_store(store: Store) -> OpenStore:
    return store.open


@pytest.fixture
def ledger(store: Store) -> Iterator[SqlLedger]:
    opened = store.open()
    yield opened
    opened.close()
