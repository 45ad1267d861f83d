"""`provisioning-server ledger import`: what it says, and what keeps it from writing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from atcaprov import AtcaProvError
from provisioning_server.cli import command
from provisioning_server.folder_import.import_folder import needs_import
from provisioning_server.ledger.open_ledger import FILE_NAME
from provisioning_server.records.data_folder import DataFolder
from tests.support.in_memory_signer import MemorySigner
from tests.support.old_data_folder import old_record, write_old_folder
from tests.support.programs import Ended, run_in_process

SIGNER = MemorySigner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_old_folder(tmp_path, [SIGNER], [old_record(SIGNER, 1), old_record(SIGNER, 2)])
    return tmp_path


def run_import(data: Path, *options: str) -> Ended:
    return run_in_process(command, "ledger", "import", "--data", str(data), *options)


def test_check_then_import(data: Path) -> None:
    checked = run_import(data, "--check")
    assert (checked.code, checked.err) == (0, "")
    assert checked.out == "2 certificates and 1 set of signer documents can be imported. Nothing was written.\n"
    assert not (data / FILE_NAME).exists()
    imported = run_import(data)
    assert (imported.code, imported.err) == (0, "")
    assert imported.out.startswith("2 certificates and 1 set of signer documents were imported into the ledger.")
    assert (data / FILE_NAME).exists()


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_damaged_folder_is_refused(data: Path, options: tuple[str, ...]) -> None:
    (log,) = (data / "logs").iterdir()
    log.write_bytes(log.read_bytes() + b"garbage\n")
    ended = run_import(data, *options)
    assert ended.code == 2
    assert "[file-invalid]: Line 4 of the signing log" in ended.err
    assert not (data / FILE_NAME).exists()


def test_folder_of_a_running_server_is_left_alone(data: Path) -> None:
    with DataFolder(data, datetime.now()).locked():
        ended = run_import(data)
        assert run_import(data, "--check").code == 0
    assert ended.code == 2
    assert "uses the data folder" in ended.err
    assert not (data / FILE_NAME).exists()


def test_missing_folder_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for options in ((), ("--check",)):
        assert run_import(missing, *options).code == 2
    assert not missing.exists()


def test_lost_ledger_without_a_backup_is_made_of_the_signing_logs_on_demand_only(data: Path) -> None:
    (data / "server-id").write_text("00112233aabbccdd\n")
    with pytest.raises(AtcaProvError, match="was there before"):
        needs_import(data)
    assert run_import(data).code == 0
    assert not needs_import(data)
