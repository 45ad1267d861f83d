"""A ledger on PostgreSQL: what is refused at the start, what several servers do to each other, what a failure does."""

from __future__ import annotations

import contextlib
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from atcaprov import AtcaProvError, Code, UsageError
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.open_ledger import open_for_reading, open_ledger
from provisioning_server.ledger.sql import postgresql_database, schema
from provisioning_server.ledger.sql.database import DatabaseError
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW, SERVER, intent, issued, step
from tests.support.postgresql import PostgresqlServer, Stop, running_postgresql

pytestmark = pytest.mark.slow
OTHER = "ffeeddccbbaa9988"
SYNCED = postgresql_database._SETTINGS
"""As the server has them, before the other tests leave the disk out."""


@pytest.fixture
def url(quick_postgresql: PostgresqlServer) -> PostgresqlUrl:
    """An empty database."""
    return PostgresqlUrl.parse(quick_postgresql.make_database(f"test_{secrets.token_hex(4)}"))


@pytest.fixture
def ledger(url: PostgresqlUrl) -> Iterator[SqlLedger]:
    with contextlib.closing(open_ledger(url, NOW)) as opened:
        yield opened


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresqlServer]:
    """A server that a test may stop."""
    with running_postgresql() as server:
        yield server


def run(url: PostgresqlUrl, *statements: str) -> None:
    with psycopg.connect(url.text, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def refused(url: PostgresqlUrl, code: Code, opened: Callable[..., SqlLedger] = open_ledger) -> str:
    with pytest.raises(UsageError) as raised:
        opened(url, NOW) if opened is open_ledger else opened(url)
    assert raised.value.code == code
    return str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:secret@host/db",
        "postgresql://:secret@host/db",
        "postgresql:///db?password=secret",
        "postgresql:///db?PASSWORD=secret",
        "postgresql:///db?sslkey=key&sslpassword=secret",
        "postgresql://user%3Asecret:secret@[::1]/db",
    ],
)
def test_password_in_the_url_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError, match="holds a password") as raised:
        PostgresqlUrl.parse(text)
    assert "secret" not in str(raised.value)
    assert ".pgpass" in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["", "ledger.sqlite3", "mysql://host/db", "user:secret@host", "postgresql://[secret/db", "postgresql://a\nb"],
)
def test_other_text_is_no_url(text: str) -> None:
    with pytest.raises(UsageError, match="not the URL") as raised:
        PostgresqlUrl.parse(text)
    assert "secret" not in str(raised.value)


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, postgresql_database.__name__)
    url = PostgresqlUrl("postgresql:///ledger")
    for opened in (open_ledger, open_for_reading):
        assert "pip install" in refused(url, Code.LIBRARY_MISSING, opened)


def test_database_that_is_away_is_told() -> None:
    url = PostgresqlUrl("postgresql:///ledger?host=/nowhere&user=operator")
    for opened in (open_ledger, open_for_reading):
        told = refused(url, Code.LEDGER_UNREACHABLE, opened)
        assert "/nowhere" in told
        assert "\n" not in told


def test_url_that_the_driver_refuses_is_told() -> None:
    assert "invalid" in refused(PostgresqlUrl("postgresql:///ledger?colour=red"), Code.LEDGER_UNREACHABLE)


def test_missing_ledger_is_not_made_by_a_reader(url: PostgresqlUrl) -> None:
    assert "There is no ledger" in refused(url, Code.FILE_UNREADABLE, open_for_reading)
    with psycopg.connect(url.text) as connection:
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'atcaprov_ledger'").fetchone() == (
            0,
        )


def test_tables_of_another_program_are_refused_and_left_alone(url: PostgresqlUrl) -> None:
    run(url, "CREATE SCHEMA atcaprov_ledger", "CREATE TABLE atcaprov_ledger.ledger (account TEXT)")
    for opened in (open_ledger, open_for_reading):
        assert "tables of another program: ledger" in refused(url, Code.LEDGER_INVALID, opened)
    with psycopg.connect(url.text) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'atcaprov_ledger'").fetchall()
    assert tables == [("ledger",)]


def test_tables_of_others_in_the_database_do_not_matter(url: PostgresqlUrl) -> None:
    run(url, "CREATE TABLE public.ledger (account TEXT)", "CREATE TABLE public.tree (size TEXT)")
    with contextlib.closing(open_ledger(url, NOW)) as ledger:
        step(ledger, issued(1))
        assert ledger.head().size == 1


def test_newer_and_damaged_ledgers_are_refused(url: PostgresqlUrl, ledger: SqlLedger) -> None:
    step(ledger, issued(1))
    run(url, f"UPDATE atcaprov_ledger.ledger SET schema_version = {len(schema.MIGRATIONS) + 1}")
    for opened in (open_ledger, open_for_reading):
        assert f"has version {len(schema.MIGRATIONS) + 1}" in refused(url, Code.LEDGER_VERSION, opened)
    run(url, f"UPDATE atcaprov_ledger.ledger SET schema_version = {len(schema.MIGRATIONS)}")
    run(url, "UPDATE atcaprov_ledger.entries SET body = replace(body, '2026', '2027')")
    for opened in (open_ledger, open_for_reading):
        assert "was changed" in refused(url, Code.LEDGER_DAMAGED, opened)
    run(url, "DROP TABLE atcaprov_ledger.tiles")
    assert "tiles" in refused(url, Code.LEDGER_DAMAGED)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_server_that_does_not_write_durably_is_refused(own_server: PostgresqlServer, name: str) -> None:
    own_server.settings[name] = "off"
    try:
        own_server.restart()
        assert f"{name} = off" in refused(PostgresqlUrl(own_server.url()), Code.LEDGER_UNSAFE)
    finally:
        own_server.settings[name] = "on"
        own_server.restart()


def test_database_of_another_encoding_is_refused(quick_postgresql: PostgresqlServer, url: PostgresqlUrl) -> None:
    run(url, "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    assert "server_encoding = LATIN1" in refused(PostgresqlUrl(quick_postgresql.url("latin")), Code.LEDGER_UNSAFE)


def test_user_without_permission_is_told(url: PostgresqlUrl, ledger: SqlLedger) -> None:
    role = f"role_{secrets.token_hex(4)}"
    run(url, f"CREATE ROLE {role} LOGIN")
    stranger = PostgresqlUrl(url.text.replace("user=postgres", f"user={role}"))
    for opened in (open_ledger, open_for_reading):
        assert "permission denied" in refused(stranger, Code.LEDGER_UNREACHABLE, opened)
    assert "permission denied" in refused(replace(stranger, schema="another"), Code.LEDGER_UNREACHABLE)


def test_read_only_database_can_be_read_only(url: PostgresqlUrl, ledger: SqlLedger) -> None:
    step(ledger, issued(1))
    with psycopg.connect(url.text, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on".encode())
    assert "default_transaction_read_only" in refused(url, Code.FILE_UNWRITABLE)
    with contextlib.closing(open_for_reading(url)) as reader:
        assert reader.head().size == 1


def test_reader_cannot_write(url: PostgresqlUrl, ledger: SqlLedger) -> None:
    with contextlib.closing(open_for_reading(url)) as reader, pytest.raises(AtcaProvError, match="for reading only"):
        step(reader, issued(1))
    assert ledger.head().size == 0


def test_servers_that_start_at_once_make_one_ledger(url: PostgresqlUrl) -> None:
    opened: list[SqlLedger] = []
    begin = threading.Barrier(4)

    def start() -> None:
        begin.wait()
        opened.append(open_ledger(url, NOW))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert len({ledger.identity for ledger in opened}) == 1
    for ledger in opened:
        ledger.close()


def test_two_writers_make_one_log(url: PostgresqlUrl, ledger: SqlLedger) -> None:
    with contextlib.closing(open_ledger(url, NOW)) as other:
        first: dict[int, int] = {}

        def write(own: SqlLedger, numbers: range) -> None:
            for number in numbers:
                first[number] = step(own, issued(number), issued(number + 1000)).first_index

        shares = ((ledger, range(60)), (other, range(60, 120)))
        threads = [threading.Thread(target=write, args=share) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(first.values()) == list(range(0, 240, 2))
        assert ledger.head() == other.head()
    with contextlib.closing(open_ledger(url, NOW)) as again:  # compares entries, tiles and head
        assert again.head().size == 240


def test_name_of_a_server_is_held_until_its_session_ends(url: PostgresqlUrl, ledger: SqlLedger) -> None:
    assert ledger.claim(SERVER)
    with contextlib.closing(open_ledger(url, NOW)) as other:
        assert not other.claim(SERVER)
        assert other.claim(OTHER)
        other.release(OTHER)
        assert ledger.claim(OTHER)
        ledger.close()
        assert other.claim(SERVER, wait=True)
        assert other.claim(OTHER, wait=True)


def test_name_is_waited_for_a_bounded_time(
    url: PostgresqlUrl, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ledger.claim(SERVER)
    monkeypatch.setattr(postgresql_database, "_SETTINGS", (*postgresql_database._SETTINGS, "SET lock_timeout = 50"))
    with contextlib.closing(open_ledger(url, NOW)) as other:
        assert not other.claim(SERVER, wait=True)
        assert not other.failed


def test_failed_ledger_gives_its_name_back(url: PostgresqlUrl, ledger: SqlLedger) -> None:
    assert ledger.claim(SERVER)
    with pytest.raises(AtcaProvError, match="documents"):
        ledger.documents("unknown")
    with contextlib.closing(open_ledger(url, NOW)) as other:
        assert other.claim(SERVER, wait=True)


def test_lock_that_is_not_given_back_ends_the_ledger(url: PostgresqlUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_database, "_SETTINGS", (*postgresql_database._SETTINGS, "SET lock_timeout = 50"))
    with contextlib.closing(open_ledger(url, NOW)) as ledger, psycopg.connect(url.text) as hanging:
        hanging.execute("SELECT size FROM atcaprov_ledger.tree FOR UPDATE")
        with pytest.raises(AtcaProvError, match="lock timeout") as raised:
            step(ledger, issued(1))
        assert raised.value.code == Code.RECORDS_FAILED
        assert ledger.failed


def test_server_that_hangs_in_a_step_loses_its_lock(url: PostgresqlUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    short = "SET idle_in_transaction_session_timeout = 50"
    with contextlib.closing(open_ledger(url, NOW)) as ledger:
        monkeypatch.setattr(postgresql_database, "_SETTINGS", (*postgresql_database._SETTINGS, short))
        with (
            contextlib.closing(postgresql_database.PostgresqlDatabase(url)) as hanging,
            pytest.raises(DatabaseError, match="terminat"),
            hanging.writing(),
        ):
            step(ledger, issued(1))  # waits until the other session is ended
        assert ledger.head().size == 1


@pytest.mark.parametrize("how", [Stop.FAST, Stop.IMMEDIATE, Stop.KILLED])
def test_restart_of_the_database_ends_the_ledger_and_loses_nothing(
    own_server: PostgresqlServer, how: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_database, "_SETTINGS", SYNCED)
    url = PostgresqlUrl(own_server.make_database(f"restarted_{how.name.lower()}"))
    with contextlib.closing(open_ledger(url, NOW)) as ledger:
        ledger.claim(SERVER)
        written = step(ledger, issued(1), intents=[intent(2)]).head
        own_server.restart(how)
        with pytest.raises(AtcaProvError) as raised:
            step(ledger, issued(2))
        assert raised.value.code == Code.RECORDS_FAILED
        assert "\n" not in raised.value.what
        assert "Check that PostgreSQL runs and has room, then start the server again." in raised.value.advice
        with pytest.raises(AtcaProvError) as again_raised:
            ledger.head()
        assert str(again_raised.value) == str(raised.value)
    with contextlib.closing(open_ledger(url, NOW)) as again:
        assert again.claim(SERVER, wait=True)
        assert again.head() == written
        assert list(again.open_intents()) == [intent(2)]


class Aged:
    """A ledger of 300 entries, and what puts its database back to 3 of them, as a promoted standby has."""

    def __init__(self, url: PostgresqlUrl) -> None:
        self.url = url
        self.old = PostgresqlUrl(url.text, schema="old")

    def promote(self) -> None:
        """Put the older tables in the place of the newer ones."""
        run(self.url, "ALTER SCHEMA atcaprov_ledger RENAME TO newer", "ALTER SCHEMA old RENAME TO atcaprov_ledger")


@pytest.fixture
def aged(url: PostgresqlUrl) -> Iterator[tuple[Aged, SqlLedger]]:
    place = Aged(url)
    with contextlib.closing(open_ledger(url, NOW)) as ledger, contextlib.closing(open_ledger(place.old, NOW)) as old:
        run(url, "UPDATE old.ledger SET ledger_id = (SELECT ledger_id FROM atcaprov_ledger.ledger)")
        for each in (ledger, old):
            step(each, issued(1), issued(2), issued(3))
        step(ledger, *(issued(number) for number in range(4, 301)))
        yield place, ledger


ASKED: dict[str, Callable[[SqlLedger], object]] = {
    "head": SqlLedger.head,
    "step": lambda ledger: step(ledger, issued(4)),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("more", [0, 297, 400], ids=["smaller", "other root", "grown past it"])
def test_older_database_under_a_running_server_is_behind(aged: tuple[Aged, SqlLedger], more: int, asked: str) -> None:
    place, ledger = aged
    seen = ledger.head()
    if more:
        with contextlib.closing(open_ledger(place.old, NOW)) as other:
            step(other, *(issued(5000 + number) for number in range(more)))
    place.promote()
    with pytest.raises(AtcaProvError) as raised:
        ASKED[asked](ledger)
    assert raised.value.code == Code.LEDGER_BEHIND
    with pytest.raises(AtcaProvError) as raised:
        ledger.has_room()
    assert raised.value.code == Code.LEDGER_BEHIND
    assert ledger.seen == seen
    with contextlib.closing(open_ledger(place.url, NOW)) as again:
        assert again.head().size == 3 + more
