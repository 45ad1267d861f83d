"""How SQLite is set, and how it looks things up, asked of SQLite itself."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.search import CertificateFilter
from provisioning_server.ledger.sql.database import Row, Value
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.sql.sqlite_database import SqliteConnection
from provisioning_server.ledger.store import StoredCertificate
from tests.provisioning_server.ledger.events import NOW, issued

_ASKED = """
import sys
from pathlib import Path
from provisioning_server.ledger.open_ledger import open_ledger
from tests.provisioning_server.ledger.events import NOW
ledger = open_ledger(Path(sys.argv[1]), NOW)
with ledger._database.writing() as writer:
    for name in ("journal_mode", "synchronous", "fullfsync", "checkpoint_fullfsync", "trusted_schema"):
        print(name, *writer.rows("PRAGMA " + name)[0])
"""


@pytest.mark.slow  # in a program of its own: other tests of this folder do not sync
def test_steps_are_synced_to_the_disk(tmp_path: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", _ASKED, str(tmp_path / "l")], capture_output=True, text=True, check=True
    )
    full = "2"  # https://www.sqlite.org/pragma.html#pragma_synchronous
    assert asked.stdout.split("\n")[:-1] == [
        "journal_mode wal",
        f"synchronous {full}",
        "fullfsync 1",
        "checkpoint_fullfsync 1",
        "trusted_schema 0",
    ]


STORED = StoredCertificate(0, issued(1).record, b"", None, "")
_PLANNED: list[tuple[Callable[[SqlLedger], object], str]] = [
    (lambda ledger: ledger.known([bytes(9)] * 3, []), "SEARCH c USING INDEX certificates_chip"),
    (lambda ledger: ledger.known([], [bytes(64)] * 3), "SEARCH certificates USING INDEX certificates_key"),
    (lambda ledger: ledger.challenged(bytes(9), bytes(32)), "SEARCH c USING INDEX certificates_chip"),
    (lambda ledger: ledger.reported(bytes(9), bytes(32)), "SEARCH c USING INDEX certificates_chip"),
    (lambda ledger: ledger.unproven(NOW, 5, 9), "SEARCH c USING INDEX certificates_unproven"),
    (lambda ledger: ledger.find(CertificateFilter(), 9), "SCAN c USING INDEX certificates_time"),
    (lambda ledger: ledger.find(CertificateFilter(since=NOW), 9), "SEARCH c USING INDEX certificates_time"),
    (lambda ledger: ledger.find(CertificateFilter(), 9, STORED), "SEARCH c USING INDEX certificates_time"),
    (lambda ledger: ledger.find(CertificateFilter(chip_serial=bytes(9)), 9), "SEARCH c USING INDEX certificates_chip"),
    (lambda ledger: ledger.find(CertificateFilter(public_key=bytes(64)), 9), "SEARCH c USING INDEX certificates_key"),
    (lambda ledger: ledger.history(bytes(9)), "SEARCH c USING INDEX certificates_chip"),
]


@pytest.mark.parametrize(("ask", "plan"), _PLANNED)
def test_questions_are_answered_from_an_index(
    tmp_path: Path, ask: Callable[[SqlLedger], object], plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Millions of certificates are not read one by one."""
    plans: list[str] = []
    rows = SqliteConnection.rows

    def planned(self: SqliteConnection, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        plans.extend(str(row[3]) for row in rows(self, f"EXPLAIN QUERY PLAN {statement}", values))
        return rows(self, statement, values)

    with contextlib.closing(open_ledger(tmp_path / "l", NOW)) as ledger, monkeypatch.context() as asking:
        asking.setattr(SqliteConnection, "rows", planned)
        ask(ledger)
    used = [found.replace("COVERING ", "") for found in plans]
    assert [found for found in used if found.startswith(plan)]
    assert not [found for found in used if found.startswith("SCAN") and "USING INDEX" not in found]
