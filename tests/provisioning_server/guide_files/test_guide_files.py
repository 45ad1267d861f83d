"""The guide's files are made from the ledger, exactly once, however often the server was cut while it wrote them."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from atcaprov.certs.issued_record import IssuedRecord, read_signing_log
from provisioning_server.guide_files.guide_files import GuideFiles
from provisioning_server.guide_files.issued_entries import IssuedEntry
from provisioning_server.ledger.changes import Changes, ClockAccepted
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from tests.support.in_memory_signer import NOW
from tests.support.ledgers import add, ledger_in, record, signer

RECORDS = [record(1), record(2), record(3), record(1, 2), record(4)]


class Start:
    """One start of a server in a data folder: its ledger, its program log and its guide's files."""

    def __init__(self, data: Path) -> None:
        self.ledger = ledger_in(data)
        self.folder = DataFolder(data, datetime(2026, 11, 21, 10))
        self._log = self.folder.program_log()
        self.log = ProgramLog(self._log.__enter__(), None)
        self.seconds = 0.0
        self.files = GuideFiles(self.folder, self.ledger, self.log, lambda: self.seconds)

    def end(self) -> None:
        """End as if it was killed: what was written stays."""
        self.files.close()
        self.log.close()
        self._log.__exit__(None, None, None)
        self.ledger.close()


@contextmanager
def started(data: Path) -> Iterator[Start]:
    start = Start(data)
    try:
        yield start
    finally:
        start.end()


def complete(data: Path) -> None:
    """Start again, and write what is missing."""
    with started(data) as start:
        start.files.write_missed(start.ledger.head().size)
        start.files.sync()


def require_exact(data: Path, records: list[IssuedRecord]) -> None:
    """Every certificate has one line, one pair of files, one line in the program logs."""
    logs = sorted((data / "logs").glob("signing-*.tsv"))
    assert [found for log in logs for _, _, found in read_signing_log(log)] == records
    files = {path.name: path.read_text() for path in (data / "certs").iterdir()}
    expected = {}
    numbers: dict[bytes, int] = {}
    for each in records:
        number = numbers[each.chip_serial] = numbers.get(each.chip_serial, 0) + 1
        name = each.chip_serial.hex().upper() + (f"-{number}" if number > 1 else "")
        expected[f"{name}_device.pem"] = ssl.DER_cert_to_PEM_cert(each.certificate)
        expected[f"{name}_signer.pem"] = ssl.DER_cert_to_PEM_cert(signer().documents.signer_certificate)
    assert files == expected
    lines = [line for log in (data / "logs").glob("server-*.log") for line in log.read_text().splitlines()]
    said = sorted(line.split("Device (")[1][:18] for line in lines if " certified by " in line)
    assert said == sorted(each.chip_serial.hex().upper() for each in records)


def feed(start: Start, records: list[IssuedRecord]) -> None:
    """Issue certificates and write their files, as a running server does."""
    known = start.ledger.known({each.chip_serial for each in records}, ())
    first = add(start.ledger, records)
    entries = [IssuedEntry(first + n, each, not known.of_chip(each.chip_serial)) for n, each in enumerate(records)]
    start.files.write_new(entries, first + len(records))


def test_what_is_issued_is_written_once(tmp_path: Path) -> None:
    with started(tmp_path) as start:
        start.files.write_missed(0)
        feed(start, RECORDS[:3])
        start.ledger.commit(Changes(events=[ClockAccepted(NOW, NOW, "an entry of another kind")]))
        start.files.write_missed(start.ledger.head().size)
        feed(start, RECORDS[3:])
        start.files.sync()
    require_exact(tmp_path, RECORDS)
    complete(tmp_path)
    require_exact(tmp_path, RECORDS)


def test_what_a_start_did_not_write_is_written_by_the_next_one(tmp_path: Path) -> None:
    with started(tmp_path) as start:
        add(start.ledger, RECORDS[:2])
    complete(tmp_path)
    require_exact(tmp_path, RECORDS[:2])
    with started(tmp_path) as start:
        add(start.ledger, RECORDS[2:])
    complete(tmp_path)
    require_exact(tmp_path, RECORDS)
    assert len(list((tmp_path / "logs").glob("signing-*.tsv"))) == 2


class Cut(BaseException):
    """The process ends here."""


class Cutter:
    """Cuts at the n-th call that changes the disk; a write leaves half of its bytes."""

    CALLS = ("write", "fsync", "open", "link", "unlink", "ftruncate", "rename", "replace")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self._left = at
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._cutting(name, getattr(os, name)))

    def _cutting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def cut_or_call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left > 0:
                return call(*arguments, **options)
            if self._left == 0 and name == "write":
                call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            raise Cut  # at every later call, too: a process that has ended does nothing more

        return cut_or_call


@pytest.mark.slow
def test_a_start_that_is_cut_at_any_step_is_completed_without_doubled_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice at the same step: while it runs, and again while it completes."""
    at = 0
    cut = True
    while cut:
        at += 1
        data = tmp_path / str(at)
        with started(data) as start:
            start.files.write_missed(0)
            feed(start, RECORDS[:1])
            start.files.sync()
            with monkeypatch.context() as patch:
                Cutter(patch, at)
                cut = _is_cut(lambda: feed_and_sync(start, RECORDS[1:3]))
            if start.ledger.head().size == 1:
                add(start.ledger, RECORDS[1:3])
            add(start.ledger, RECORDS[3:])
        with monkeypatch.context() as patch:
            Cutter(patch, at)
            _is_cut(functools.partial(complete, data))
        complete(data)
        require_exact(data, RECORDS)
    assert at > 15


def feed_and_sync(start: Start, records: list[IssuedRecord]) -> None:
    feed(start, records)
    start.files.sync()


def _is_cut(act: Callable[[], object]) -> bool:
    try:
        act()
    except Cut:
        return True
    return False
