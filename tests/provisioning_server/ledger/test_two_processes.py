"""A server writes while others read and copy: other threads, and other programs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov import AtcaProvError
from atcaprov.transparency.tiles import tree_root
from provisioning_server.ledger.open_ledger import open_for_reading, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.sql.sqlite_copy import copy_database
from tests.provisioning_server.ledger.events import NOW, SIGNER, intent, issued, step
from tests.support.server_parts import chip_serial


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqlLedger]:
    with contextlib.closing(open_ledger(path, NOW)) as opened:
        yield opened


def test_reader_sees_what_was_committed_before_each_question(path: Path, ledger: SqlLedger) -> None:
    with contextlib.closing(open_for_reading(path)) as reader:
        for size in range(1, 4):
            step(ledger, issued(size))
            assert reader.head() == ledger.head()
            assert reader.head().size == size
            assert [each.record for each in reader.known([chip_serial(size)], []).of_chip(chip_serial(size))] == [
                issued(size).record
            ]


def test_reader_cannot_write(path: Path, ledger: SqlLedger) -> None:
    with (
        contextlib.closing(open_for_reading(path)) as reader,
        pytest.raises(AtcaProvError, match="opened for reading only"),
    ):
        step(reader, issued(1))
    assert ledger.head().size == 0


@pytest.mark.slow
def test_ledger_can_be_closed_and_opened_while_it_is_read(path: Path) -> None:
    first = open_ledger(path, NOW)
    step(first, issued(1))
    with contextlib.closing(open_for_reading(path)) as reader:
        assert reader.head().size == 1
        first.close()
        with contextlib.closing(open_ledger(path, NOW)) as again:
            step(again, issued(2))
            assert reader.head().size == 2
    with contextlib.closing(open_ledger(path, NOW)) as again:
        assert again.head().size == 2
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.slow
def test_ledger_is_read_by_another_program_while_it_is_written(path: Path, ledger: SqlLedger) -> None:
    step(ledger, *(issued(number) for number in range(10)))
    script = (
        "import sys; from pathlib import Path; from provisioning_server.ledger.open_ledger import open_for_reading\n"
        "ledger = open_for_reading(Path(sys.argv[1])); print(ledger.head().size, len(ledger.entries(0, 99)))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "10 10\n"
    step(ledger, issued(11))
    assert ledger.head().size == 11


@pytest.mark.slow
def test_threads_read_whole_steps_while_one_writes(ledger: SqlLedger) -> None:
    stop = threading.Event()
    seen: list[tuple[int, int]] = []

    def read() -> None:
        while not stop.is_set():
            tally = ledger.tally(SIGNER.serial)
            seen.append((ledger.head().size % 3, 0 if tally is None else tally.issued % 3))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(0, 90, 3):
        step(ledger, issued(number), issued(number + 1), issued(number + 2), intents=[intent(1000 + number)])
    stop.set()
    for thread in threads:
        thread.join()
    assert seen
    assert set(seen) == {(0, 0)}
    assert ledger.head().size == 90


@pytest.mark.slow
def test_copy_of_a_ledger_that_is_written_is_one_of_its_states(path: Path, ledger: SqlLedger, tmp_path: Path) -> None:
    heads = {ledger.head()}
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            heads.add(step(ledger, issued(number), intents=[intent(number + 100_000)]).head)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    copies = [tmp_path / "copies" / f"{number}.sqlite3" for number in range(5)]
    copies[0].parent.mkdir()
    for copy in copies:
        copy.touch()
        copy_database(path, copy)
    stop.set()
    writer.join()
    for copy in copies:
        with contextlib.closing(open_for_reading(copy)) as copied:
            assert copied.head() in heads
            assert tree_root(copied.head().size, copied.tile) == copied.head().root
        with contextlib.closing(open_ledger(copy, NOW)) as copied:
            step(copied, issued(1_000_000))
    assert sorted(copies[0].parent.iterdir()) == copies
