"""Backups of a ledger that is in use: whole, checked, and taken for one only when complete."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code
from atcaprov.transparency.checkpoint import SignedCheckpoint
from provisioning_server.audit.log_signer import verifier_key_of
from provisioning_server.backup.backup_folder import opened_copy, read_backup
from provisioning_server.backup.make_backup import make_backup
from provisioning_server.backup.restore import restore_backup
from provisioning_server.backup.retention import backups_in, keep_newest
from provisioning_server.backup.sums_file import sums_text
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW, issued, step
from tests.support.cut_programs import ends_after
from tests.support.networks import admitted_station
from tests.support.server_parts import chip_serial


def test_backup_has_the_ledger_of_a_running_server(data: Path, ledger: SqlLedger, backups: Path) -> None:
    step(ledger, issued(4))  # in the write-ahead log only
    made = make_backup(data, backups, NOW)
    assert made.path == backups / "ledger-20261121-101540"
    assert made.log.head == ledger.head()
    assert made.log.certificates == 4
    with opened_copy(made.path) as copy:
        assert copy.entries(0, 100) == ledger.entries(0, 100)
        assert copy.known_documents() == ledger.known_documents()
    assert sorted(path.name for path in made.path.iterdir()) == [
        "SHA256SUMS",
        "checkpoint.txt",
        "ledger.sqlite3",
        "modules",
        "server-id",
    ]


def test_backups_of_a_server_that_issues_are_each_a_state_it_was_in(
    data: Path, ledger: SqlLedger, backups: Path
) -> None:
    heads = {ledger.head()}
    stop = threading.Event()

    def issue() -> None:
        number = 10
        while not stop.is_set():
            heads.add(step(ledger, *(issued(number + more) for more in range(5))).head)
            number += 5

    writer = threading.Thread(target=issue)
    writer.start()
    try:
        made = [make_backup(data, backups, NOW + timedelta(seconds=second)) for second in range(5)]
    finally:
        stop.set()
        writer.join()
    assert all(backup.log.head in heads for backup in made)
    sizes = [backup.log.head.size for backup in made]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


def test_checkpoint_is_signed_by_the_key_of_the_log(data: Path, ledger: SqlLedger, backups: Path) -> None:
    made = make_backup(data, backups, NOW)
    signed = SignedCheckpoint.parse((made.path / "checkpoint.txt").read_bytes())
    key = verifier_key_of(ledger)
    assert key is not None
    signed.verify(key)
    assert (signed.checkpoint.size, signed.checkpoint.root) == (4, ledger.head().root)


def test_station_ca_is_only_in_a_backup_that_asks_for_it(data: Path, backups: Path, tmp_path: Path) -> None:
    admitted_station(data, tmp_path / "station")
    ca = (data / "stations" / "station-ca.pem").read_bytes()
    without = make_backup(data, backups, NOW)
    assert without.lacks_station_ca
    assert not (without.path / "stations").exists()
    made = make_backup(data, backups, NOW + timedelta(seconds=1), with_station_ca=True)
    assert not made.lacks_station_ca
    assert [path.name for path in (made.path / "stations").iterdir()] == ["station-ca.pem"]
    new = tmp_path / "new"
    new.mkdir()
    restore_backup(made, new, NOW)
    for folder in (made.path, new):
        copy = folder / "stations" / "station-ca.pem"
        assert copy.read_bytes() == ca
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_log_key_is_only_in_a_backup_that_asks_for_it(data: Path, backups: Path) -> None:
    key = (data / "log-key.pem").read_bytes()
    without = make_backup(data, backups, NOW)
    assert without.lacks_log_key
    assert not any(key in path.read_bytes() for path in without.path.rglob("*") if path.is_file())
    made = make_backup(data, backups, NOW + timedelta(seconds=1), with_log_key=True)
    assert not made.lacks_log_key
    copy = made.path / "log-key.pem"
    assert copy.read_bytes() == key
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_other_programs_check_the_digests_and_open_the_database(data: Path, backups: Path) -> None:
    made = make_backup(data, backups, NOW, with_log_key=True)
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=made.path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == 5
    with contextlib.closing(sqlite3.connect(f"{(made.path / FILE_NAME).as_uri()}?immutable=1", uri=True)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_checking_changes_nothing(data: Path, backups: Path) -> None:
    made = make_backup(data, backups, NOW)
    before = sorted((path, path.stat().st_mtime_ns) for path in made.path.rglob("*"))
    read_backup(made.path)
    assert sorted((path, path.stat().st_mtime_ns) for path in made.path.rglob("*")) == before


def test_two_backups_of_one_second_have_two_names_in_their_order(data: Path, backups: Path) -> None:
    names = [make_backup(data, backups, NOW).path.name for _ in range(3)]
    assert names == ["ledger-20261121-101540", "ledger-20261121-101540_0002", "ledger-20261121-101540_0003"]
    assert [path.name for path in backups_in(backups)] == names


def test_newest_backups_are_kept(data: Path, backups: Path) -> None:
    made = [make_backup(data, backups, NOW + timedelta(days=day)).path for day in range(4)]
    (backups / "ledger-20261120-000000").mkdir()  # not a backup: it has nothing
    (backups / "notes.txt").write_text("not ours")
    assert keep_newest(backups, 2) == made[:2]
    assert backups_in(backups) == made[2:]
    assert (backups / "notes.txt").exists()
    assert (backups / "ledger-20261120-000000").exists()


PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from provisioning_server.backup.make_backup import make_backup
from provisioning_server.backup.retention import keep_newest
make_backup(Path(sys.argv[1]), Path(sys.argv[2]), datetime(2026, 11, 22, tzinfo=UTC), with_log_key=True)
keep_newest(Path(sys.argv[2]), 1)
"""
STEPS = (
    "provisioning_server.ledger.sql.sqlite_copy.copy_database",
    "atcaprov.durable_files.write_new",
    "pathlib.Path.rename",
    "os.unlink",
)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 4, 6, 7, 8, 9, 11, 40])
def test_backup_that_was_cut_is_not_taken_for_one(data: Path, backups: Path, steps: int) -> None:
    old = make_backup(data, backups, NOW).path
    was_cut = ends_after(steps, STEPS, PROGRAM, data, backups)
    assert was_cut == (steps < 40)
    found = backups_in(backups)
    assert found
    for path in found:
        assert read_backup(path).log.head.size == 4
    assert all(path in found or path.name.endswith(".unfinished") for path in backups.iterdir())
    make_backup(data, backups, NOW + timedelta(days=30))
    keep_newest(backups, 1)
    assert [path.name for path in backups.iterdir()] == ["ledger-20261221-101540"]
    assert old not in backups_in(backups)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _sums_again(folder: Path) -> None:
    """Make the digests fit what is there now, as someone would who wants to hide a change."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    (folder / "SHA256SUMS").write_text(sums_text(folder, names))


def _statement(folder: Path, statement: str) -> None:
    path = folder / FILE_NAME
    path.chmod(0o600)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute(statement)
    _sums_again(folder)


def _no_sums(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()


def _leads_out(folder: Path) -> None:
    sums = folder / "SHA256SUMS"
    sums.write_text(sums.read_text() + f"{'0' * 64}  ../data/log-key.pem\n")


def _absolute(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  /etc/passwd\n")


def _no_ledger(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text("")


DAMAGES: list[tuple[Callable[[Path], None], Code, str]] = [
    (lambda folder: _flip(folder / FILE_NAME), Code.FILE_INVALID, "its SHA-256 is another one"),
    (lambda folder: _flip(folder / "server-id"), Code.FILE_INVALID, "server-id"),
    (lambda folder: (folder / FILE_NAME).unlink(), Code.FILE_UNREADABLE, FILE_NAME),
    (_no_sums, Code.FILE_INVALID, "not a complete backup"),
    (_leads_out, Code.FILE_INVALID, "SHA256SUMS, line 5"),
    (_absolute, Code.FILE_INVALID, "SHA256SUMS, line 1"),
    (_no_ledger, Code.FILE_INVALID, "has no ledger"),
]


@pytest.mark.parametrize(("damage", "code", "says"), DAMAGES)
def test_damaged_backup_is_refused(
    data: Path, backups: Path, damage: Callable[[Path], None], code: Code, says: str
) -> None:
    folder = make_backup(data, backups, NOW).path
    damage(folder)
    with pytest.raises(AtcaProvError, match=says) as caught:
        read_backup(folder)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM entries WHERE idx = 303", "is damaged"),
        ("DELETE FROM entries WHERE idx = 1", "an entry after 0 is missing"),
        ("UPDATE entries SET body = replace(body, '192', '193') WHERE idx = 1", "its head is not that of"),
        ("DELETE FROM certificates WHERE idx = 1", "its index does not have every certificate"),
        ("UPDATE tree SET size = 303", "is damaged"),
        ("UPDATE documents SET content = X'00'", "damaged"),
    ],
)
def test_backup_that_was_edited_is_refused(
    data: Path, ledger: SqlLedger, backups: Path, statement: str, says: str
) -> None:
    step(ledger, *(issued(number) for number in range(10, 310)))
    folder = make_backup(data, backups, NOW).path
    _statement(folder, statement)
    with pytest.raises(AtcaProvError, match=says):
        read_backup(folder)


def test_checkpoint_of_another_moment_is_refused(data: Path, ledger: SqlLedger, backups: Path) -> None:
    old = make_backup(data, backups, NOW).path
    step(ledger, issued(4))
    new = make_backup(data, backups, NOW + timedelta(days=1)).path
    shutil.copy(old / "checkpoint.txt", new / "checkpoint.txt")
    _sums_again(new)
    with pytest.raises(AtcaProvError, match="is not that of the ledger beside it") as caught:
        read_backup(new)
    assert caught.value.code == Code.LOG_MISMATCH


def test_garbage_in_place_of_the_ledger_is_refused(data: Path, backups: Path) -> None:
    folder = make_backup(data, backups, NOW).path
    for garbage in (b"", b"garbage" * 1000, (folder / FILE_NAME).read_bytes()[:5000]):
        (folder / FILE_NAME).write_bytes(garbage)
        _sums_again(folder)
        with pytest.raises(AtcaProvError):
            read_backup(folder)


def test_folder_that_cannot_be_written_is_named(data: Path) -> None:
    with pytest.raises(AtcaProvError, match="No backup was made in /dev/null") as caught:
        make_backup(data, Path("/dev/null/backups"), NOW)
    assert caught.value.code == Code.FILE_UNWRITABLE


def test_chip_of_a_backup_is_found(data: Path, backups: Path) -> None:
    made = make_backup(data, backups, NOW)
    with opened_copy(made.path) as copy:
        (stored,) = copy.known([chip_serial(1)], []).of_chip(chip_serial(1))
    assert stored.proven is not None


def test_ledger_without_a_log_key_has_a_backup_without_a_checkpoint(tmp_path: Path, backups: Path) -> None:
    with contextlib.closing(open_ledger(tmp_path / FILE_NAME, NOW)) as ledger:
        step(ledger, issued(1))
    made = make_backup(tmp_path, backups, NOW)
    assert not made.lacks_log_key
    assert set(made.sums) == {FILE_NAME}
