"""The guide's files are made from the ledger, exactly once, however often the server was cut while it wrote them."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.certs.issued_record import HEADER, IssuedRecord, read_signing_log
from provisioning_server.guide_files.certificate_files import pem
from provisioning_server.guide_files.guide_files import SETTLED_SECONDS, GuideFiles
from provisioning_server.guide_files.issued_entries import IssuedEntry
from provisioning_server.guide_files.progress import FILE_NAME, Progress
from provisioning_server.guide_files.writer import GuideFilesWriter
from provisioning_server.ledger.changes import Changes, ClockAccepted, RollbackAccepted
from provisioning_server.log_names import certified_text
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from tests.support.in_memory_signer import NOW
from tests.support.ledgers import add, ledger_in, record, signer
from tests.support.server_parts import RememberingLog

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


def test_power_cut_loses_what_was_not_synced_and_the_next_start_makes_it_again(tmp_path: Path) -> None:
    """Lines after the last sync are gone or torn, and certificate files of the last minute are empty."""
    with started(tmp_path) as start:
        start.files.write_missed(0)
        feed(start, RECORDS[:2])
        start.files.sync()
        synced = start.folder.logs.glob("signing-*.tsv").__next__().stat().st_size
        feed(start, RECORDS[2:])
    (log,) = (tmp_path / "logs").glob("signing-*.tsv")
    whole = log.read_bytes()
    for kept in (synced, synced + 100, len(whole) - 1):
        log.write_bytes(whole[:kept])
        for path in (tmp_path / "certs").iterdir():
            remove(path)
            path.write_bytes(b"")
        with started(tmp_path) as start:
            start.files.write_missed(start.ledger.head().size)
        assert "certified by" not in max((tmp_path / "logs").glob("server-*.log")).read_text()
        require_exact(tmp_path, RECORDS)
        for later in sorted((tmp_path / "logs").glob("signing-*.tsv"))[1:]:
            later.unlink()
        put_progress_back(tmp_path, log, synced)


def put_progress_back(data: Path, log: Path, size: int) -> None:
    """Put the progress back as it was before the power cut."""
    with contextlib.closing(ledger_in(data)) as ledger:
        identity = ledger.identity
    Progress(identity.ledger_id.hex(), identity.epoch, 2, 0, log.name, size).write(data / "logs")


def remove(read_only: Path) -> None:
    """Delete a file as an operator would on any system: Windows deletes nothing that is read-only."""
    if sys.platform == "win32":
        read_only.chmod(0o600)
    read_only.unlink()


def test_certificate_files_are_compared_for_a_minute_only(tmp_path: Path) -> None:
    with started(tmp_path) as start:
        start.files.write_missed(0)
        feed(start, RECORDS[:2])
        start.files.sync()
        start.seconds = SETTLED_SECONDS
        feed(start, RECORDS[2:3])
        start.files.sync()
    devices = {path.name: path for path in (tmp_path / "certs").glob("*_device.pem")}
    for path in devices.values():
        remove(path)
    complete(tmp_path)
    assert [path.name for path in (tmp_path / "certs").glob("*_device.pem")] == ["0123000000000003EE_device.pem"]


def test_a_folder_of_certificate_files_that_was_removed_is_made_again(tmp_path: Path) -> None:
    with started(tmp_path) as start:
        start.files.write_missed(0)
        feed(start, RECORDS)
        start.files.sync()
        start.seconds = SETTLED_SECONDS
        start.files.sync()
    for path in (tmp_path / "certs").iterdir():
        remove(path)
    (tmp_path / "certs").rmdir()
    complete(tmp_path)
    require_exact(tmp_path, RECORDS)


def test_certificate_files_that_hold_anything_else_are_made_again_as_read_only_files(tmp_path: Path) -> None:
    with started(tmp_path) as start:
        start.files.write_missed(0)
        feed(start, RECORDS)
        start.files.sync()
    for path in (tmp_path / "certs").iterdir():
        content = path.read_bytes()
        remove(path)
        path.write_bytes(b"x" * len(content))
    complete(tmp_path)
    require_exact(tmp_path, RECORDS)
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in (tmp_path / "certs").iterdir())


def test_foreign_files_in_the_certs_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    for name in ("README", "root.pem", "0123000000000001EE_device.pem.bak"):
        (tmp_path / "certs" / name).write_text("not ours")
    complete(tmp_path)
    assert {path.read_text() for path in (tmp_path / "certs").iterdir()} == {"not ours"}


@given(der=st.binary(min_size=1, max_size=200))
def test_a_pem_file_is_the_one_that_others_write(der: bytes) -> None:
    assert pem(der).decode() == ssl.DER_cert_to_PEM_cert(der)


@pytest.mark.parametrize("damage", [None, b"", b"{}", b"garbage", b'{"next": 1}', b"[" * 10_000])
def test_without_its_progress_the_last_line_of_the_signing_logs_counts(tmp_path: Path, damage: bytes | None) -> None:
    """As after an import of older records, too."""
    with started(tmp_path) as start:
        start.files.write_missed(0)
        feed(start, RECORDS[:3])
        start.files.sync()
        add(start.ledger, RECORDS[3:])
    progress = tmp_path / "logs" / FILE_NAME
    if damage is None:
        progress.unlink()
    else:
        progress.write_bytes(damage)
    complete(tmp_path)
    require_exact(tmp_path, RECORDS)


def test_a_signing_log_that_was_edited_is_made_right_from_the_ledger(tmp_path: Path) -> None:
    with started(tmp_path) as start:
        start.files.write_missed(0)
        start.files.sync()
        feed(start, RECORDS[:1])
        start.files.sync()
        feed(start, RECORDS[1:])
    (log,) = (tmp_path / "logs").glob("signing-*.tsv")
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:2], lines[3], lines[2], *lines[3:]]))
    complete(tmp_path)
    require_exact(tmp_path, RECORDS)


def test_lines_that_the_ledger_lacks_refuse_the_start_and_stay(tmp_path: Path) -> None:
    with started(tmp_path) as start:
        start.files.write_missed(0)
        feed(start, RECORDS)
        start.files.sync()
    (log,) = (tmp_path / "logs").glob("signing-*.tsv")
    with log.open("ab") as file:
        file.write(record(7).to_line() + b"a torn li")
    before = log.read_bytes()
    with pytest.raises(UsageError, match="0123000000000007EE that the ledger lacks") as caught:
        Start(tmp_path)
    assert caught.value.code == Code.RECORD_MISSING
    assert log.read_bytes() == before


def test_a_signing_log_of_an_older_version_that_ran_meanwhile_refuses_the_start_until_it_is_recovered(
    tmp_path: Path,
) -> None:
    """Someone goes back to the older version, which issues without the ledger, and comes again."""
    with started(tmp_path) as start:
        start.files.write_missed(0)
        feed(start, RECORDS)
        start.files.sync()
    older = tmp_path / "logs" / "signing-20261122-080000.tsv"
    older.write_bytes(HEADER + record(7).to_line() + record(8).to_line() + b"a torn li")
    with pytest.raises(UsageError, match=r"20261122-080000\.tsv has a certificate of .*0123000000000007EE") as found:
        Start(tmp_path)
    assert found.value.code == Code.RECORD_MISSING
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        add(ledger, [record(7)])
    with pytest.raises(UsageError, match="0123000000000008EE that the ledger lacks"):
        Start(tmp_path)
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        add(ledger, [record(8)])
    complete(tmp_path)


def test_a_ledger_that_is_shorter_than_it_was_refuses_the_start_unless_that_was_accepted(tmp_path: Path) -> None:
    with started(tmp_path) as start:
        start.files.write_missed(0)
        add(start.ledger, RECORDS[:2])
        start.files.write_missed(2)
        start.files.sync()
        progress = Progress.read(start.folder.logs)
        assert progress is not None
        replace(progress, next=5, unsettled=5).write(start.folder.logs)
    with pytest.raises(UsageError, match=r"5 entries of the ledger were written .* now it has 2"):
        Start(tmp_path)
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        ledger.commit(Changes(events=[RollbackAccepted(NOW, "the disk died")]))
    complete(tmp_path)
    with started(tmp_path) as start:
        assert start.files.next == 3


class FullDisk:
    """A disk of which the test says when it is full: nothing can be written to the guide's files then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        for name in ("write", "open", "link"):
            monkeypatch.setattr(os, name, self._failing(getattr(os, name)))

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def fail_or_call(*arguments: Any, **options: Any) -> Any:
            if self.full and threading.current_thread().name == "guide's files":
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*arguments, **options)

        return fail_or_call


def test_a_full_disk_stops_no_issuing_is_said_once_and_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, log = FullDisk(monkeypatch), RememberingLog()
    ledger, folder = ledger_in(tmp_path), DataFolder(tmp_path, datetime(2026, 11, 21, 10))
    writer = GuideFilesWriter(GuideFiles(folder, ledger, log), ledger, log, retry_seconds=0.01)
    disk.full = True
    writer.start()
    for each in RECORDS[:3]:
        first = add(ledger, [each])
        writer.add(first, first + 1, [IssuedEntry(first, each, True)])
    wait_for(lambda: bool(writer.trouble))
    assert "No space left" in writer.trouble
    disk.full = False
    wait_for(lambda: not writer.trouble)
    for each in RECORDS[3:]:
        first = add(ledger, [each])
        writer.add(first, first + 1, [IssuedEntry(first, each, False)])
    writer.stop()
    ledger.close()
    for each in RECORDS:
        assert sum(certified_text(each) in line for line in log.lines) == 1
    assert [line for line in log.lines if line.startswith("error")] == [
        "error: The signing log and the certificate files cannot be written: No space left on device. The ledger has"
        " every certificate, and the files are completed when they can be written again."
    ]
    logs = sorted((tmp_path / "logs").glob("signing-*.tsv"))
    assert [found for log_ in logs for _, _, found in read_signing_log(log_)] == RECORDS


def wait_for(reached: Callable[[], bool]) -> None:
    """Wait for another thread, without looking at a clock: each look lets it run."""
    for _ in range(100_000):
        if reached():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never came")


def test_more_than_can_wait_in_memory_is_read_from_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning_server.guide_files.writer.WAITING_MAX", 2)
    ledger, folder, log = ledger_in(tmp_path), DataFolder(tmp_path, datetime(2026, 11, 21, 10)), RememberingLog()
    writer = GuideFilesWriter(GuideFiles(folder, ledger, log), ledger, log)
    for each in RECORDS:
        first = add(ledger, [each])
        writer.add(first, first + 1, [IssuedEntry(first, each)])
    writer.start()
    writer.stop()
    ledger.close()
    (path,) = (tmp_path / "logs").glob("signing-*.tsv")
    assert [found for _, _, found in read_signing_log(path)] == RECORDS


def test_the_files_wait_while_stations_ask_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, folder, log = ledger_in(tmp_path), DataFolder(tmp_path, datetime(2026, 11, 21, 10)), RememberingLog()
    writer = GuideFilesWriter(GuideFiles(folder, ledger, log), ledger, log)
    to_come, written = list(RECORDS[1:]), list[int]()

    def issue(record: IssuedRecord) -> None:
        first = add(ledger, [record])
        writer.add(first, first + 1, [IssuedEntry(first, record)])

    class Busy(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            """Let another certificate come instead of a pause, as long as there are some."""
            written.append(len(list((tmp_path / "certs").iterdir())))
            if to_come:
                issue(to_come.pop(0))
                return False
            return super().wait(0)

    monkeypatch.setattr(writer, "_stopping", Busy())
    writer.start()
    wait_for((tmp_path / "certs").exists)  # it has looked for what earlier starts missed
    issue(RECORDS[0])
    wait_for(lambda: len(list((tmp_path / "certs").glob("*_device.pem"))) == len(RECORDS))
    writer.stop()
    ledger.close()
    assert written[: len(RECORDS)] == [0] * len(RECORDS)
