"""The checker finds what it is there to find: each fault is made by hand in a good ledger."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from tests.provisioning_server.ledger.events import NOW, intent, issued, lost, reported, step
from tests.soak.acknowledged import Acknowledgement, chip_key, whole_lines
from tests.soak.checker import Contents, merkle_root, problems, signature_problems
from tests.support.numbered_chips import chip_serial

CHIPS = range(1, 6)
COUNT_OF_ENTRIES = 7


def _certificate(number: int) -> bytes:
    return b"certificate %d" % number


def _acknowledgement(number: int) -> Acknowledgement:
    return Acknowledgement(number, sha256(_certificate(number)).hexdigest())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with a certificate of each chip, the report of the first, and a lost intent."""
    with closing(open_ledger(tmp_path / FILE_NAME, NOW)) as ledger:
        for number in CHIPS:
            event = issued(number)
            step(ledger, replace(event, record=replace(event.record, certificate=_certificate(number))))
        step(ledger, reported(0, 1), lost(intent(9)))
    return tmp_path / FILE_NAME


@pytest.fixture
def acknowledged(path: Path) -> list[Acknowledgement]:
    note = _note(Contents.of(path))
    return [*map(_acknowledgement, CHIPS), replace(_acknowledgement(1), proven=True, checkpoint=note)]


@pytest.fixture
def change(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def _note(contents: Contents) -> str:
    return f"log.example/1\n{contents.size}\n{b64encode(contents.root).decode()}\n\n— log.example/1 AAAA\n"


def test_a_good_ledger_has_no_problems(path: Path, acknowledged: list[Acknowledgement]) -> None:
    contents = Contents.of(path)
    assert not problems(contents, acknowledged)
    assert (len(contents.issued), len(contents.lost), contents.counted) == (5, 1, 6)
    assert contents.size == COUNT_OF_ENTRIES


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM entries WHERE idx = 2", "the acknowledged certificate of chip 3 is missing"),
        ("DELETE FROM entries WHERE idx = 2", "the log of 7 entries has gaps"),
        ("UPDATE entries SET idx = 9 WHERE idx = 6", "the log of 7 entries has gaps"),
        ("UPDATE entries SET body = replace(body, 'Z', 'z') WHERE idx = 6", "the root of the log is not"),
        ("UPDATE entries SET body = (SELECT body FROM entries WHERE idx = 1) WHERE idx = 2", "2 certificates have"),
        ("UPDATE tree SET root = zeroblob(32)", "the root of the log is not that of its entries"),
        ("DELETE FROM certificates WHERE idx = 2", "the log has 5 certificates, the table 4, and they differ"),
        ("UPDATE certificates SET proven = NULL WHERE idx = 0", "the acknowledged proof of chip 1 is missing"),
        ("UPDATE signers SET issued = 4", "the signers' tallies are not the 5 certificates"),
    ],
)
def test_a_change_is_found(
    path: Path, acknowledged: list[Acknowledgement], change: sqlite3.Connection, statement: str, found: str
) -> None:
    assert change.execute(statement).rowcount == 1
    assert any(problem.startswith(found) for problem in problems(Contents.of(path), acknowledged))


def test_a_log_that_was_cut_back_does_not_continue_a_checkpoint(
    path: Path, acknowledged: list[Acknowledgement], change: sqlite3.Connection
) -> None:
    leaves = [sha256(b"\0" + body.encode()).digest() for _, _, body in Contents.of(path).entries]
    change.execute("DELETE FROM entries WHERE idx >= 5")
    change.execute("UPDATE tree SET size = 5, root = ?", (merkle_root(leaves[:5]),))
    expected = "a checkpoint over 7 entries was acknowledged, and the log has 5"
    assert problems(Contents.of(path), acknowledged) == [expected]


def test_another_certificate_than_the_acknowledged_one_is_missing(path: Path) -> None:
    told = Acknowledgement(3, _acknowledgement(2).certificate)
    assert problems(Contents.of(path), [told]) == ["the acknowledged certificate of chip 3 is missing"]


def test_two_certificates_for_one_chip_are_refused(path: Path) -> None:
    told = [_acknowledgement(3), Acknowledgement(3, _acknowledgement(2).certificate)]
    with pytest.raises(AssertionError, match="chip 3 got two"):
        problems(Contents.of(path), told)


@pytest.mark.parametrize("used", [5, 6, 7])
def test_signatures_of_a_module_are_accounted_for(path: Path, used: int) -> None:
    assert (not signature_problems(Contents.of(path), used)) == (used == 6)


def test_lines_are_read_up_to_the_cut() -> None:
    told = [_acknowledgement(1), replace(_acknowledgement(2), proven=True, checkpoint="a\n2\nb\n")]
    data = b"".join(each.line() for each in told)
    assert whole_lines(data) == told
    assert whole_lines(data[:-1]) == told[:1]
    assert whole_lines(b"") == []


def test_chips_have_the_same_key_in_every_process() -> None:
    x = chip_key(7).public_key().public_numbers().x
    assert f"{x:064x}"[:16] == "b6fa5055b631db1d"
    assert chip_serial(7).hex() == "0123000000000007ee"
