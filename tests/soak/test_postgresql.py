"""The PostgreSQL server of the tests: it starts, survives a crash, and is gone at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.postgresql import PostgresqlServer, Stop, empty_postgresql, running_postgresql

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with running_postgresql() as running:
        yield running


def _rows(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [number for (number,) in connection.execute("SELECT n FROM kept ORDER BY n")]


@pytest.mark.parametrize("how", Stop)
def test_committed_rows_survive_a_restart_and_open_ones_do_not(server: PostgresqlServer, how: Stop) -> None:
    url = server.make_database(f"kept_{how.name.lower()}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES (1)")
    before = server.pid
    opened = psycopg.connect(url)
    with contextlib.closing(opened):
        opened.execute("INSERT INTO kept VALUES (2)")
        if how is Stop.SMART:  # that one waits for its clients
            opened.close()
        server.restart(how)
        with pytest.raises(psycopg.OperationalError):
            opened.commit()
    assert server.pid != before
    assert _rows(url) == [1]


def test_it_listens_on_no_network_and_writes_durably(server: PostgresqlServer) -> None:
    with psycopg.connect(server.url()) as connection:
        for name, value in (("listen_addresses", ""), ("fsync", "on"), ("synchronous_commit", "on")):
            assert connection.execute(f"SHOW {name}").fetchone() == (value,)


def test_a_copy_goes_its_own_way(server: PostgresqlServer) -> None:
    url = server.make_database("copied")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES (1)")
        with empty_postgresql() as replica:
            server.copy_to(replica)
            connection.execute("INSERT INTO kept VALUES (2)")
            replica.start()
            assert _rows(replica.url("copied")) == [1]
    assert _rows(url) == [1, 2]


def test_nothing_of_it_is_left() -> None:
    with running_postgresql() as server:
        folder = Path(server._folder)
        pid = server.pid
        os.kill(pid, 0)
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_cannot_start_says_why() -> None:
    with empty_postgresql() as server, pytest.raises(AssertionError, match="did not start"):
        server.start()
