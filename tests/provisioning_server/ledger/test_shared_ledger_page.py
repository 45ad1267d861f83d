"""What docs/howto/share-a-ledger-on-postgresql.md tells an administrator to run works, and leaves enough rights."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from atcaprov import AtcaProvError
from provisioning_server.ledger.changes import RollbackAccepted
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.open_ledger import open_for_reading, open_ledger
from tests.provisioning_server.ledger.events import NOW, ONE_OF_EACH, intent, issued, step
from tests.support.postgresql import PostgresqlServer, running_postgresql

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[3] / "docs/howto/share-a-ledger-on-postgresql.md"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server with the roles of the page."""
    with running_postgresql() as running:
        yield running


def sql(heading: str) -> list[str]:
    """Return the statements under a heading of the page."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    return [each.strip() for each in str(block).split(";") if each.strip()]


def run(url: str, statements: list[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def as_role(url: str, role: str) -> PostgresqlUrl:
    return PostgresqlUrl.parse(url.replace("user=postgres", f"user={role}"))


def test_page_is_followed(server: PostgresqlServer) -> None:
    run(server.url(), sql("Make the database"))
    administrator = server.url("atcaprov")
    place, auditor = as_role(administrator, "atcaprov"), as_role(administrator, "atcaprov_auditor")
    with contextlib.closing(open_ledger(place, NOW)) as ledger:
        written = step(ledger, *ONE_OF_EACH, intents=[intent(7)])

    run(administrator, sql("Let an auditor read"))
    with contextlib.closing(open_for_reading(auditor)) as reader:
        assert reader.head() == written.head
    with (
        contextlib.closing(open_ledger(auditor, NOW)) as reader,
        pytest.raises(AtcaProvError, match="permission denied"),
    ):
        step(reader, issued(50))

    run(administrator, ["SET search_path = atcaprov_ledger", *sql("Take rights away from the servers")])
    _server_still_works(place)
    _nothing_can_be_taken_away(place)
    _dump_is_a_whole_ledger(server, administrator)


def _server_still_works(place: PostgresqlUrl) -> None:
    with contextlib.closing(open_ledger(place, NOW)) as ledger:
        before = ledger.head().size
        ledger.claim_log_key(b"key")
        step(ledger, *ONE_OF_EACH[:2], RollbackAccepted(NOW, "tried"), intents=[intent(8)])
        assert ledger.head().size == before + 3


def _nothing_can_be_taken_away(place: PostgresqlUrl) -> None:
    for table in ("entries", "documents", "reports", "challenges"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET idx = 1", f"TRUNCATE {table}"):
            with psycopg.connect(place.text) as connection, pytest.raises(psycopg.errors.Error) as raised:
                connection.execute(f"SET search_path = atcaprov_ledger; {statement}".encode())
            assert isinstance(raised.value, psycopg.errors.InsufficientPrivilege | psycopg.errors.UndefinedColumn)


def _dump_is_a_whole_ledger(server: PostgresqlServer, administrator: str) -> None:
    with contextlib.closing(open_for_reading(PostgresqlUrl(administrator))) as ledger:
        head, entries = ledger.head(), ledger.entries(0, 100)
    restored = server.make_database("restored")
    words = re.findall(r"(?m)^(pg_dump|pg_restore) (--\S+ ?(?:--schema=\S+)?)", PAGE.read_text())
    assert {program for program, _ in words} == {"pg_dump", "pg_restore"}
    programs = server.programs
    dump = subprocess.run(
        [programs / "pg_dump", "--format=custom", "--schema=atcaprov_ledger", administrator],
        capture_output=True,
        check=True,
    )
    subprocess.run(
        [programs / "pg_restore", f"--dbname={restored}"], input=dump.stdout, capture_output=True, check=True
    )
    with contextlib.closing(open_for_reading(PostgresqlUrl(restored))) as again:
        assert again.head() == head
        assert again.entries(0, 100) == entries
