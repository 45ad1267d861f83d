"""`provisioning-server ledger rebuild-files`: the guide's files of a ledger, as its server writes them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from provisioning_server.cli import command
from provisioning_server.folder_import.import_folder import import_folder
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.old_data_folder import old_record, write_old_folder
from tests.support.programs import Ended, run_in_process

SIGNER = MemorySigner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of an older version whose records were imported, with two certificates of one chip."""
    folder = tmp_path / "data"
    write_old_folder(
        folder, [SIGNER], [old_record(SIGNER, 1), old_record(SIGNER, 2)], [old_record(SIGNER, 1, minutes=1)]
    )
    import_folder(folder, NOW)
    return folder


def rebuild(data: Path, folder: Path) -> Ended:
    return run_in_process(command, "ledger", "rebuild-files", str(folder), "--data", str(data))


def test_files_are_those_that_were_lost(data: Path, tmp_path: Path) -> None:
    done = rebuild(data, tmp_path / "rebuilt")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"The files of 3 certificates were written to {tmp_path / 'rebuilt'}.\n"
    (log,) = (tmp_path / "rebuilt" / "logs").glob("signing-*.tsv")
    lost = sorted((data / "logs").glob("signing-*.tsv"))
    assert log.read_text().splitlines()[1:] == [line for each in lost for line in each.read_text().splitlines()[1:]]
    certificates = {path.name: path.read_text() for path in (data / "certs").iterdir()}
    assert {path.name: path.read_text() for path in (tmp_path / "rebuilt" / "certs").iterdir()} == certificates
    assert [path.name for path in tmp_path.iterdir()].count("rebuilt.unfinished") == 0


def test_running_server_is_not_disturbed(data: Path, tmp_path: Path) -> None:
    before = sorted(path for path in data.rglob("*") if not path.name.startswith(FILE_NAME))
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)):
        assert rebuild(data, tmp_path / "rebuilt").code == 0
    assert sorted(path for path in data.rglob("*") if not path.name.startswith(FILE_NAME)) == before


def test_folder_that_exists_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "rebuilt").mkdir()
    done = rebuild(data, tmp_path / "rebuilt")
    assert done.code == 2
    assert "already exists" in done.err
    assert list((tmp_path / "rebuilt").iterdir()) == []


def test_folder_that_cannot_be_written_is_named(data: Path) -> None:
    done = rebuild(data, Path("/dev/null/rebuilt"))
    assert done.code == 2
    assert "/dev/null/rebuilt" in done.err
