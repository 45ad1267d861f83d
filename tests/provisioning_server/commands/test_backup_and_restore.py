"""`provisioning-server ledger backup` and `restore`: what they say, and when they refuse."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from provisioning_server.audit.log_key import KEY_FILE, open_log_key
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.cli import command
from provisioning_server.ledger.changes import ClockAccepted
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.records.data_folder import DataFolder
from tests.provisioning_server.commands.conftest import RunLedger
from tests.provisioning_server.ledger.events import NOW, issued, step
from tests.support.programs import Ended, run_in_process


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def restore(backup: Path, data: Path, *options: str) -> Ended:
    return run_in_process(command, "ledger", "restore", str(backup), "--data", str(data), *options)


def newest(backups: Path) -> Path:
    return sorted(backups.iterdir())[-1]


def test_backup_beside_a_server_is_restored_elsewhere(run_ledger: RunLedger, backups: Path, tmp_path: Path) -> None:
    made = run_ledger("backup", backups)
    assert (made.code, made.err) == (0, "")
    assert made.out == f"{newest(backups)}: 5 entries, 3 certificates, checked.\n"
    restored = restore(newest(backups), tmp_path / "new")
    assert (restored.code, restored.err) == (0, "")
    assert restored.out == f"Restored 5 entries with 3 certificates to {tmp_path / 'new'}.\n"
    shown = run_in_process(command, "ledger", "show", "--json", "--data", str(tmp_path / "new"))
    assert json.loads(shown.out) == json.loads(run_ledger("show", "--json").out)


def test_missing_log_key_is_pointed_out(
    open_server: SqlLedger, run_ledger: RunLedger, backups: Path, tmp_path: Path
) -> None:
    LogSigner(open_server, open_log_key(tmp_path, open_server))
    assert "keep a copy of log-key.pem in another place" in run_ledger("backup", backups).err
    assert f"Put your copy of {KEY_FILE} into" in restore(newest(backups), tmp_path / "new").err
    assert run_ledger("backup", backups, "--with-log-key").err == ""
    assert restore(newest(backups), tmp_path / "other").err == ""
    assert (tmp_path / "other" / KEY_FILE).exists()


def test_old_backups_are_removed(run_ledger: RunLedger, backups: Path) -> None:
    for _ in range(3):
        run_ledger("backup", backups)
    first, second, _ = sorted(backups.iterdir())
    ended = run_ledger("backup", backups, "--keep", 2)
    assert ended.out.splitlines()[1:] == [f"Removed {first}.", f"Removed {second}."]
    assert len(list(backups.iterdir())) == 2
    assert run_ledger("backup", backups, "--keep", 0).code == 2


def test_newer_ledger_is_replaced_with_a_reason(backups: Path, run_ledger: RunLedger, tmp_path: Path) -> None:
    run_ledger("backup", backups)
    data = tmp_path / "new"
    restore(newest(backups), data)
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as ledger:
        step(ledger, issued(4))
    refused = restore(newest(backups), data)
    assert refused.code == 2
    assert "[record-missing]" in refused.err
    assert "--replace" in refused.err
    assert restore(newest(backups), data, "--replace", " ").code == 2
    done = restore(newest(backups), data, "--replace", "a test")
    assert done.code == 0, done.err
    assert "What was there before is in" in done.out


def test_folder_of_a_running_server_is_not_restored_to(run_ledger: RunLedger, backups: Path, tmp_path: Path) -> None:
    run_ledger("backup", backups)
    data = tmp_path / "new"
    with DataFolder(data, datetime.now()).locked():
        ended = restore(newest(backups), data)
    assert ended.code == 2
    assert "uses the data folder" in ended.err
    assert not (data / FILE_NAME).exists()


def test_what_is_not_a_backup_is_refused_and_makes_no_folder(tmp_path: Path) -> None:
    ended = restore(tmp_path, tmp_path / "new")
    assert ended.code == 2
    assert "is not a complete backup" in ended.err
    assert not (tmp_path / "new").exists()


def test_folder_without_a_ledger_has_no_backup(tmp_path: Path, backups: Path) -> None:
    ended = run_in_process(command, "ledger", "backup", str(backups), "--data", str(tmp_path))
    assert ended.code == 2
    assert "[file-unreadable]: There is no ledger" in ended.err
    assert not backups.exists()


def test_accepted_clock_is_in_the_backup(
    open_server: SqlLedger, run_ledger: RunLedger, backups: Path, tmp_path: Path
) -> None:
    """Records of next year count no more, neither in the ledger nor in what is restored of it."""
    step(open_server, issued(20, after=400 * 86400))
    assert open_server.newest == NOW + timedelta(days=400)
    step(open_server, ClockAccepted(NOW, NOW + timedelta(days=400), "the clock was 400 days ahead"))
    assert open_server.newest == NOW
    assert run_ledger("backup", backups).code == 0
    assert restore(newest(backups), tmp_path / "new").code == 0
    with contextlib.closing(open_ledger(tmp_path / "new" / FILE_NAME, NOW)) as restored:
        assert restored.newest == NOW
        (entry,) = [each for each in restored.entries(0, 100) if each.kind == "clock-accepted"]
        assert json.loads(entry.body)["reason"] == "the clock was 400 days ahead"
        step(restored, issued(21, after=60))
        assert restored.newest == NOW + timedelta(seconds=60)
