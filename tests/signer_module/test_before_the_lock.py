"""What can be known before a chip is changed is known then: files that can't be written, a clock that is wrong."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov import durable
from signer_module.commands import inputs as cli_inputs
from tests.support.module_program import CHEAP, ROOT, SIGNER, locks, run, working_folder
from tests.support.outside_cas import OutsideCas

REQUEST = ("signer", "request", "--device", SIGNER, "--signer-id", "0034", "--no-password", *CHEAP)
SIGN = ("signer", "create", "--root", "root", "--device", SIGNER, "--no-password", *CHEAP)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    working_folder(tmp_path, monkeypatch)
    Path("afile").touch()
    return tmp_path


@pytest.mark.parametrize("out", ["nodir/x.csr", "afile/x.csr"])
def test_a_request_that_can_not_be_written(here: Path, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*REQUEST, "--out", out) == 2
    assert "file-unwritable" in capsys.readouterr().err
    assert locks(SIGNER) == (False, False)


def test_a_root_folder_that_can_not_be_made(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--device", ROOT, "--out", "afile/root", "--no-password", *CHEAP) == 2
    assert "file-unwritable" in capsys.readouterr().err
    assert locks(ROOT) == (False, False)


def test_an_export_that_can_not_be_made(here: Path) -> None:
    cas = OutsideCas(here / "cas")
    cas.add("root", "p256")
    assert run(*REQUEST, "--out", "x.csr") == 0
    cas.certify("root", Path("x.csr"), Path("signer.pem"))
    bring = ("signer", "import", "--device", SIGNER, "--certificate", "signer.pem", "--chain", cas.pem("root"))
    assert run(*bring, "--no-password", *CHEAP, "--out", "afile/export") == 2
    assert locks(SIGNER) == (True, False)
    assert run(*bring, "--no-password", *CHEAP, "--out", "some/export") == 0
    assert Path("some/export/chain.pem").exists()


def test_a_full_disk(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write = durable.write_new

    def full(path: Path, data: bytes, mode: int) -> None:
        if not path.name.startswith("."):  # the software chip may be written, it stands for a real one
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data, mode)

    monkeypatch.setattr(durable, "write_new", full)
    assert run(*REQUEST, "--out", "x.csr") == 2
    assert run("root", "create", "--device", ROOT, "--out", "root", "--no-password", *CHEAP) == 2
    assert capsys.readouterr().err.count("No space left on device") == 2
    assert (locks(SIGNER), locks(ROOT)) == ((False, False), (False, False))
    for chip in (SIGNER, ROOT):
        Path(chip.partition(":")[2]).unlink()
    assert {path.name for path in here.iterdir()} == {"afile", "password", "new"}


@pytest.mark.parametrize("year", [2000, 2029])
def test_a_clock_that_is_wrong(
    here: Path, year: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    description = here / "root.toml"
    assert run("description", "root") == 0
    description.write_text(capsys.readouterr().out.replace("expire_years = 0", "expire_years = 2"))
    assert run("root", "create", "--out", "root", "--description", description, "--no-password") == 0
    monkeypatch.setattr(cli_inputs, "now", lambda: datetime(year, 1, 1, tzinfo=UTC))
    assert run(*SIGN) == 7
    assert "Set the clock" in capsys.readouterr().err
    assert locks(SIGNER) == (False, False)
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password") == 7
    assert not Path("signer").exists()
    assert Path("root/signers.tsv").read_text().count("\n") == 1
