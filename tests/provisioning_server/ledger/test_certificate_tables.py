"""What pages ask of a ledger is found by an index, in rows that do not grow with it; and it is what was asked for."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from provisioning_server.ledger.changes import Changes, Issued
from provisioning_server.ledger.open_ledger import FILE_NAME
from provisioning_server.ledger.sql.certificate_tables import CertificateTables
from provisioning_server.ledger.sql.database import Row, Value
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.conftest import OpenStore
from tests.support.factory_days import fill
from tests.support.in_memory_signer import NOW
from tests.support.ledgers import ledger_in, record, signer

QUESTIONS: dict[str, Callable[[CertificateTables], object]] = {
    "at": lambda tables: tables.at(1),
    "newest": lambda tables: tables.newest(None, 5),
    "unproven": lambda tables: tables.unproven(7, 5),
    "revoked": lambda tables: tables.revoked(None, 5),
    "of_order": lambda tables: tables.of_order("A-1", None, 5),
    "matching": lambda tables: tables.matching("0123456789", 5),
    "unproven_count": lambda tables: tables.unproven_count(5),
    "revoked_count": lambda tables: tables.revoked_count(5),
    "first_index": lambda tables: tables.first_index(NOW),
    "activity": lambda tables: tables.activity(1, 3),
}

_SCAN = re.compile(r"SCAN [ce]\b(?! USING (COVERING )?INDEX certificates_(unproven|revoked))")
"""Of a whole table; the index of what is unproven or revoked is read up to a limit."""


@pytest.fixture
def ledger(open_store: OpenStore) -> Iterator[SqlLedger]:
    with contextlib.closing(open_store()) as found:
        yield found


class Explained:
    """A connection that notes how each statement is carried out."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.plans: list[str] = []

    def rows(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        plan = self._connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        self.plans += [f"{detail} in {statement}" for *_, detail in plan]
        return self._connection.execute(statement, values).fetchall()


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_question_is_answered_by_an_index(tmp_path: Path, name: str) -> None:
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        fill(ledger, NOW, 4)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        explained = Explained(connection)

        @contextmanager
        def reading() -> Iterator[Explained]:
            yield explained

        QUESTIONS[name](CertificateTables(reading))  # type: ignore[arg-type]
    assert explained.plans
    for plan in explained.plans:
        assert not _SCAN.search(plan), plan
        if name != "activity":  # it groups the rows of a range
            assert "TEMP B-TREE" not in plan, plan


def test_every_question_is_asked_here() -> None:
    assert QUESTIONS.keys() == {name for name in vars(CertificateTables) if not name.startswith("_")}


def test_activity_of_parts_is_that_of_the_whole(ledger: SqlLedger) -> None:
    fill(ledger, NOW, 9)
    size, tables = ledger.head().size, ledger.tables
    whole = tables.activity(0, size)
    parts = [tables.activity(start, start + 7) for start in range(0, size, 7)]
    assert sum(each.number for each in whole.issued) == sum(each.number for part in parts for each in part.issued) > 0
    assert sorted(whole.runs) == sorted(run for part in parts for run in part.runs)
    assert tables.activity(0, size, reports=False).runs == ()
    assert {name for name, _ in whole.last_of_station} == {"line-1", "line-2"}


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_question_is_asked_of_each_database(ledger: SqlLedger, name: str) -> None:
    fill(ledger, NOW, 4)
    QUESTIONS[name](ledger.tables)


def test_numbers_are_found_by_their_first_digits(ledger: SqlLedger) -> None:
    one, two = record(1), record(2)
    ledger.commit(Changes([signer().documents], events=[Issued(one), Issued(two)]))
    for wanted in (one, two):
        serial = wanted.certificate_serial.hex()
        for length in (9, 16, 17, len(serial)):
            assert [each.record for each in ledger.tables.matching(serial[:length], 9)] == [wanted]
    assert len(ledger.tables.matching("0123", 9)) == 2
    assert len(ledger.tables.matching("0123", 1)) == 1
    assert ledger.tables.matching("g", 9) == []
    assert ledger.tables.first_index(NOW + timedelta(days=1)) is None
