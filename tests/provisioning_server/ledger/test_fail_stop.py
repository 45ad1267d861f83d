"""After the first error nothing is acknowledged any more, and what was written is a whole step or nothing of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from atcaprov import AtcaProvError, Code
from provisioning_server.ledger.changes import Changes, GivenChallenge
from provisioning_server.ledger.search import CertificateFilter
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.conftest import Store
from tests.provisioning_server.ledger.events import (
    DOCUMENTS,
    NOW,
    ONE_OF_EACH,
    SERVER,
    SIGNER,
    challenge_of,
    intent,
    issued,
    lost,
    public_key,
    reported,
    step,
)
from tests.provisioning_server.ledger.faulty_database import FaultyDatabase
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import chip_serial

QUESTIONS: dict[str, Callable[[SqlLedger], object]] = {
    "head": SqlLedger.head,
    "identity": lambda ledger: ledger.identity,
    "administered": lambda ledger: ledger.administered.stations(),
    "tables": lambda ledger: ledger.tables.newest(None, 10),
    "known": lambda ledger: ledger.known([chip_serial(1)], [public_key(1)]),
    "challenged": lambda ledger: ledger.challenged(chip_serial(1), challenge_of(1)),
    "given_challenges": lambda ledger: ledger.given_challenges([challenge_of(1)]),
    "reported": lambda ledger: ledger.reported(chip_serial(1), challenge_of(1)),
    "unproven": lambda ledger: ledger.unproven(NOW, 0, 10),
    "commit": lambda ledger: ledger.commit(Changes()),
    "open_intents": lambda ledger: ledger.open_intents(SERVER),
    "documents": lambda ledger: ledger.documents(DOCUMENTS.document_id),
    "known_documents": SqlLedger.known_documents,
    "tally": lambda ledger: ledger.tally(SIGNER.serial),
    "entries": lambda ledger: ledger.entries(0, 10),
    "tile": lambda ledger: ledger.tile(0, 0),
    "history": lambda ledger: ledger.history(chip_serial(1)),
    "fates": SqlLedger.fates,
    "find": lambda ledger: ledger.find(CertificateFilter(), 10),
    "by_signer": SqlLedger.by_signer,
    "log_key": SqlLedger.log_key,
    "claim_log_key": lambda ledger: ledger.claim_log_key(b"key"),
    "claim": lambda ledger: ledger.claim(SERVER),
    "release": lambda ledger: ledger.release(SERVER),
}
_WITHOUT_DATABASE = {"failed", "newest", "seen", "has_room", "close"}


def _next_step(ledger: SqlLedger) -> None:
    changes = Changes(
        documents=[MemorySigner().documents],
        challenges=[GivenChallenge(challenge_of(90), 0, NOW)],
        events=[issued(2), lost(intent(3)), reported(0, 1), *ONE_OF_EACH[4:]],
        intents=[intent(4), intent(4), intent(5)],
    )
    ledger.commit(changes)


def _contents(ledger: SqlLedger) -> object:
    stored = ledger.known([chip_serial(1), chip_serial(2)], [])
    return (
        ledger.head(),
        ledger.entries(0, 100),
        ledger.open_intents(),
        ledger.known_documents(),
        ledger.tally(SIGNER.serial),
        ledger.identity,
        ledger.newest,
        ledger.challenged(chip_serial(1), challenge_of(90)),
        [stored.of_chip(chip_serial(number)) for number in (1, 2)],
        [ledger.tile(level, 0) for level in (0, 1)],
    )


def _begun(store: Store) -> FaultyDatabase:
    with contextlib.closing(store.open()) as ledger:
        step(ledger, issued(1), intents=[intent(2), intent(3)])
    return FaultyDatabase(store.database())


def _operations_of_a_step(store: Store) -> int:
    database = _begun(store)
    with contextlib.closing(SqlLedger(database)) as ledger:
        before = database.operations
        _next_step(ledger)
        return database.operations - before


@pytest.mark.slow
def test_step_is_whole_or_nothing_wherever_it_fails(new_store: Callable[[], Store]) -> None:
    operations = _operations_of_a_step(new_store())
    assert operations > 15
    for number in range(1, operations + 1):
        store = new_store()
        database = _begun(store)
        with contextlib.closing(SqlLedger(database)) as ledger:
            before = _contents(ledger)
            database.failing = database.operations + number
            with pytest.raises(AtcaProvError) as raised:
                _next_step(ledger)
            assert raised.value.code == Code.RECORDS_FAILED
            assert ledger.failed
            with pytest.raises(AtcaProvError, match="disk I/O error"):
                _next_step(ledger)
        with contextlib.closing(store.open()) as again:
            if number < operations:
                assert _contents(again) == before, f"operation {number}"
            else:  # only the answer was lost
                assert again.head().size == before[0].size + len(ONE_OF_EACH) - 1  # type: ignore[index]


def test_every_question_is_asked_here() -> None:
    assert {name for name in vars(SqlLedger) if not name.startswith("_")} | {"failed"} == {
        *QUESTIONS,
        *_WITHOUT_DATABASE,
    }


@pytest.mark.parametrize("question", QUESTIONS)
def test_first_error_of_any_kind_ends_everything(store: Store, question: str) -> None:
    database = _begun(store)
    with contextlib.closing(SqlLedger(database)) as ledger:
        database.failing = database.operations + 1
        with pytest.raises(AtcaProvError, match="disk I/O error") as raised:
            QUESTIONS[question](ledger)
        assert raised.value.code == Code.RECORDS_FAILED
        assert ledger.failed
        for ask in (*QUESTIONS.values(), SqlLedger.has_room):
            with pytest.raises(AtcaProvError, match="disk I/O error") as raised:
                ask(ledger)
            assert raised.value.code == Code.RECORDS_FAILED
    with contextlib.closing(store.open()) as again:
        assert not again.failed
        assert again.head().size == 1


@pytest.mark.parametrize(
    "changes", [Changes(events=[issued(1)]), Changes(intents=[intent(1)])], ids=["result", "intent"]
)
def test_certificate_without_its_documents_is_refused(store: Store, changes: Changes) -> None:
    with contextlib.closing(store.open()) as ledger, pytest.raises(AtcaProvError, match=r"documents .* are missing"):
        ledger.commit(changes)
    with contextlib.closing(store.open()) as again:
        assert again.head().size == 0
        assert not again.open_intents()


@pytest.mark.slow
def test_report_of_a_certificate_that_is_not_there_is_refused(store: Store) -> None:
    for index, chip in ((0, 2), (1, 1), (7, 1)):
        with contextlib.closing(store.open()) as ledger:
            before = ledger.head()
            with pytest.raises(AtcaProvError, match="certificate that the ledger does not have"):
                step(ledger, issued(1 if before.size == 0 else 50), reported(index, chip))
        with contextlib.closing(store.open()) as again:
            assert again.head() == before
