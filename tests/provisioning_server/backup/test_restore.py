"""A backup becomes the ledger again: nothing newer is lost by it, nothing is deleted, and a cut leaves no mixture."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code
from provisioning_server.backup.backup_folder import Backup, read_backup
from provisioning_server.backup.make_backup import make_backup
from provisioning_server.backup.restore import restore_backup
from provisioning_server.folder_import.import_folder import needs_import
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql import schema
from provisioning_server.ledger.store import LogEntry
from tests.provisioning_server.ledger.events import NOW, issued, reported, step
from tests.support.cut_programs import ends_after

LATER = NOW + timedelta(days=1)


@pytest.fixture
def backup(data: Path, backups: Path) -> Backup:
    return make_backup(data, backups, NOW)


def entries(data: Path) -> list[LogEntry]:
    with contextlib.closing(open_ledger(data / FILE_NAME, LATER)) as ledger:
        return list(ledger.entries(0, 100))


def issue_more(data: Path) -> None:
    with contextlib.closing(open_ledger(data / FILE_NAME, LATER)) as ledger:
        step(ledger, issued(4))


def test_backup_is_restored_to_a_new_machine(data: Path, backup: Backup, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    assert restore_backup(backup, new, LATER) is None
    assert entries(new) == entries(data)
    with contextlib.closing(open_ledger(new / FILE_NAME, LATER)) as ledger:
        assert ledger.identity == backup.identity
        step(ledger, issued(4))
    assert (new / "server-id").read_text() == (data / "server-id").read_text()
    assert (new / "modules" / "0123AABBCCDDEEFFEE.txt").exists()
    assert not (new / "log-key.pem").exists()
    assert not (new / "checkpoint.txt").exists()


def test_log_key_of_a_backup_is_restored_for_its_owner_only(data: Path, backups: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    restore_backup(make_backup(data, backups, NOW, with_log_key=True), new, LATER)
    assert (new / "log-key.pem").read_bytes() == (data / "log-key.pem").read_bytes()
    assert (new / "log-key.pem").stat().st_mode & 0o777 == 0o600


def test_ledger_that_the_backup_contains_is_replaced_and_kept_aside(data: Path, backups: Path) -> None:
    old = make_backup(data, backups, NOW)
    issue_more(data)
    new = make_backup(data, backups, LATER)
    restore_backup(old, data, LATER, reason="to go back")
    aside = restore_backup(new, data, LATER)
    assert aside is not None
    assert len(entries(data)) == 5
    assert len(entries(aside)) == 4


def test_newer_ledger_is_replaced_for_a_reason_only(data: Path, backup: Backup) -> None:
    issue_more(data)
    with pytest.raises(AtcaProvError, match="has 5 entries, the backup 4") as caught:
        restore_backup(backup, data, LATER)
    assert caught.value.code == Code.RECORD_MISSING
    assert "--replace" in caught.value.advice
    assert len(entries(data)) == 5
    aside = restore_backup(backup, data, LATER, reason="the newer one is damaged")
    assert aside == data / "replaced-20261122-101540"
    assert len(entries(data)) == 4
    assert len(entries(aside)) == 5
    assert (aside / "REASON.txt").read_text() == "2026-11-22T10:15:40Z the newer one is damaged\n"


def _other_ledger(data: Path) -> None:
    (data / FILE_NAME).unlink()
    open_ledger(data / FILE_NAME, NOW).close()


def _damaged_ledger(data: Path) -> None:
    (data / FILE_NAME).write_bytes(b"garbage" * 5000)


def _same_size(data: Path) -> None:
    identity = read_identity(data)
    (data / FILE_NAME).unlink()
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as ledger:
        step(ledger, issued(1), issued(2), issued(9))
        step(ledger, reported(0, 1, fate="scrap"))

    with contextlib.closing(sqlite3.connect(data / FILE_NAME)) as database, database:
        database.execute("UPDATE ledger SET ledger_id = ?", (identity,))


def read_identity(data: Path) -> bytes:
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as ledger:
        return ledger.identity.ledger_id


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_other_ledger, "is another ledger"),
        (_damaged_ledger, "cannot be read"),
        (_same_size, "has other entries than the backup"),
    ],
)
def test_ledger_that_may_be_newer_is_replaced_for_a_reason_only(
    data: Path, backup: Backup, change: Callable[[Path], None], says: str
) -> None:
    change(data)
    before = (data / FILE_NAME).read_bytes()
    with pytest.raises(AtcaProvError, match=says):
        restore_backup(backup, data, LATER)
    aside = restore_backup(backup, data, LATER, reason="it is the wrong one")
    assert aside is not None
    assert (aside / FILE_NAME).read_bytes() == before
    assert len(entries(data)) == 4


def test_backup_that_changes_after_its_check_is_refused(data: Path, backup: Backup, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (backup.path / "server-id").write_text("ffffffffffffffff\n")
    with pytest.raises(AtcaProvError, match="server-id"):
        restore_backup(backup, new, LATER)
    assert not (new / FILE_NAME).exists()


PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from provisioning_server.backup.backup_folder import read_backup
from provisioning_server.backup.restore import restore_backup
backup = read_backup(Path(sys.argv[1]))
restore_backup(backup, Path(sys.argv[2]), datetime(2026, 11, 22, tzinfo=UTC), reason="cut")
"""
STEPS = ("atcaprov.durable_files.copy_new", "pathlib.Path.rename", "pathlib.Path.mkdir")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 2, 4, 5, 6, 7, 8, 9, 10, 30])
def test_restore_that_was_cut_leaves_the_old_ledger_or_none_and_can_be_repeated(
    data: Path, backup: Backup, steps: int
) -> None:
    issue_more(data)
    assert ends_after(steps, STEPS, PROGRAM, backup.path, data) == (steps < 30)
    if (data / FILE_NAME).exists():
        assert len(entries(data)) in (4, 5)
    else:
        with contextlib.suppress(AtcaProvError):  # a server would not make a new one
            assert not needs_import(data)
    restore_backup(read_backup(backup.path), data, LATER, reason="again")
    assert len(entries(data)) == 4
    sizes = {len(entries(folder)) for folder in data.glob("replaced-*") if (folder / FILE_NAME).exists()}
    assert 5 in sizes, "the newer ledger is kept in any case"
    assert not (data / "restore.unfinished").exists()


def test_backup_of_an_older_version_is_checked_and_restored(
    data: Path, backup: Backup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program is two versions newer by now; the backup stays as it was."""
    before = {path: path.stat().st_mtime_ns for path in backup.path.iterdir()}
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE one (x TEXT)",), ("DROP TABLE one",)))
    checked = read_backup(backup.path)
    assert checked.log == backup.log
    new = tmp_path / "new"
    new.mkdir()
    restore_backup(checked, new, LATER)
    assert {path: path.stat().st_mtime_ns for path in backup.path.iterdir()} == before
    assert len(entries(new)) == 4


def test_backup_of_a_newer_version_is_refused(data: Path, backups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE one (x TEXT)",)))
        with contextlib.closing(open_ledger(data / FILE_NAME, NOW)):
            made = make_backup(data, backups, NOW)
    with pytest.raises(AtcaProvError, match="version") as caught:
        read_backup(made.path)
    assert caught.value.code == Code.LEDGER_VERSION
