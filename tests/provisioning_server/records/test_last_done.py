"""When a backup was made and the log audited last."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning_server.cli import command
from provisioning_server.records.last_done import Done, LastDone, last_done, note_done
from tests.support.factory_days import fill
from tests.support.in_memory_signer import NOW
from tests.support.ledgers import ledger_in
from tests.support.programs import run_in_process


def test_commands_note_what_they_have_done(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ledger = ledger_in(data)
    fill(ledger, NOW, 3)
    ledger.close()
    before = datetime.now(UTC).replace(microsecond=0)
    assert last_done(data, Done.AUDIT) is last_done(data, Done.BACKUP) is None
    assert run_in_process(command, "audit", "verify", "--data", str(data)).code in (0, 1)
    assert run_in_process(command, "ledger", "backup", "--data", str(data), str(tmp_path / "backups")).code == 0
    audit, backup = last_done(data, Done.AUDIT), last_done(data, Done.BACKUP)
    assert audit is not None
    assert "findings." in audit.text
    assert backup is not None
    assert backup.text.endswith("checked.")
    assert before <= audit.time <= backup.time


def test_a_folder_that_takes_no_note_is_left_alone(tmp_path: Path) -> None:
    note_done(tmp_path / "missing", Done.AUDIT, LastDone(NOW, "No findings."))
    assert last_done(tmp_path / "missing", Done.AUDIT) is None


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"time": 1, "text": "x"}', b'{"time": "2026-01-01", "text": "x"}', b"[]"]
)
def test_what_is_no_note_is_not_shown(tmp_path: Path, body: bytes) -> None:
    (tmp_path / Done.AUDIT).write_bytes(body)
    assert last_done(tmp_path, Done.AUDIT) is None


@given(st.binary(max_size=200))
def test_garbage_is_not_shown(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / Done.BACKUP).write_bytes(body)
    assert last_done(folder, Done.BACKUP) is None
