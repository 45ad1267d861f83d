"""Errors that can be found before a chip is changed are found then: unwritable files, a wrong clock."""

from __future__ import annotations

import errno
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov import durable_files
from atcaprov.certs.descriptions.description import default_text
from signer_module.commands import options
from tests.support.external_cas import ExternalCas
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, ROOT, SIGNER, locks, working_folder

REQUEST = ("signer", "request", "--device", SIGNER, "--signer-id", "0034", "--no-password", *CHEAP)
SIGN = ("signer", "create", "--root", "root", "--device", SIGNER, "--no-password", *CHEAP)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    working_folder(tmp_path, monkeypatch)
    Path("afile").touch()
    return tmp_path


@pytest.mark.parametrize("out", ["nodir/x.csr", "afile/x.csr"])
def test_unwritable_request_is_found_before_the_chip_is_changed(
    here: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*REQUEST, "--out", out) == 2
    assert "file-unwritable" in capsys.readouterr().err
    assert locks(SIGNER) == (False, False)


def test_unwritable_root_folder_is_found_before_the_chip_is_changed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("root", "create", "--device", ROOT, "--out", "afile/root", "--no-password", *CHEAP) == 2
    assert "file-unwritable" in capsys.readouterr().err
    assert locks(ROOT) == (False, False)


@pytest.mark.slow
def test_unwritable_export_is_found_before_the_chip_is_changed(here: Path) -> None:
    cas = ExternalCas(here / "cas")
    cas.add("root", "p256")
    assert run(*REQUEST, "--out", "x.csr") == 0
    cas.certify("root", Path("x.csr"), Path("signer.pem"))
    bring = ("signer", "import", "--device", SIGNER, "--certificate", "signer.pem", "--chain", cas.pem("root"))
    assert run(*bring, "--no-password", *CHEAP, "--out", "afile/export") == 2
    assert locks(SIGNER) == (True, False)
    assert run(*bring, "--no-password", *CHEAP, "--out", "some/export") == 0
    assert Path("some/export/chain.pem").exists()


def test_full_disk_is_found_before_the_chip_is_changed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = durable_files.write_new

    def full(path: Path, data: bytes, mode: int) -> None:
        if not path.name.startswith("."):  # the software chip may be written, it stands for a real one
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data, mode)

    monkeypatch.setattr(durable_files, "write_new", full)
    assert run(*REQUEST, "--out", "x.csr") == 2
    assert run("root", "create", "--device", ROOT, "--out", "root", "--no-password", *CHEAP) == 2
    assert capsys.readouterr().err.count("No space left on device") == 2
    assert (locks(SIGNER), locks(ROOT)) == ((False, False), (False, False))
    for chip in (SIGNER, ROOT):
        Path(chip.partition(":")[2]).unlink()
    assert {path.name for path in here.iterdir()} == {"afile", "password", "new"}


@pytest.mark.parametrize("year", [2000, 2029])
def test_wrong_clock_is_found_before_the_chip_is_changed(
    here: Path, year: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    description = here / "root.toml"
    assert run("description", "root") == 0
    description.write_text(capsys.readouterr().out.replace("expire_years = 0", "expire_years = 2"))
    assert run("root", "create", "--out", "root", "--description", description, "--no-password") == 0
    monkeypatch.setattr(options, "now", lambda: datetime(year, 1, 1, tzinfo=UTC))
    assert run(*SIGN) == 7
    assert "Set the clock" in capsys.readouterr().err
    assert locks(SIGNER) == (False, False)
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password") == 7
    assert not Path("signer").exists()
    assert Path("root/signers.tsv").read_text().count("\n") == 1


@pytest.mark.parametrize("year", [1970, 2020, 2025])
def test_a_root_is_not_made_while_the_clock_is_before_the_program(
    here: Path, year: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(options, "now", lambda: datetime(year, 1, 1, tzinfo=UTC))
    assert run("root", "create", "--out", "root", "--no-password") == 7
    assert f"clock of this computer says {year}-01-01 00:00 UTC" in capsys.readouterr().err
    assert run("root", "create", "--device", ROOT, "--out", "root", "--no-password", "--quota", "5", "--yes") == 7
    assert locks(ROOT) == (False, False)
    assert not Path("root").exists()


def described(role: str, *changes: tuple[str, str]) -> str:
    text = default_text("root" if role == "root" else "signer" if role == "signer" else "device")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path(f"{role}.toml").write_text(text)
    return f"{role}.toml"


def older_root(here: Path) -> None:
    """A root with path length 0, as descriptions could order it once."""
    cas = ExternalCas(here / "cas")
    extensions = (
        "basicConstraints = critical, CA:true, pathlen:0",
        "keyUsage = critical, keyCertSign",
        "subjectKeyIdentifier = hash",
    )
    cas.add("old", "p256", extensions=extensions)
    assert run("root", "create", "--out", "root", "--no-password") == 0
    shutil.copy(cas.pem("old"), "root/root.pem")
    shutil.copy(here / "cas/old.key", "root/key.pem")


def test_root_with_path_length_0_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older_root(here)
    assert run(*SIGN) == 7
    assert "The root has path length 0" in capsys.readouterr().err
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password") == 7
    assert locks(SIGNER) == (False, False)
    assert Path("root/signers.tsv").read_text().count("\n") == 1


SERVERS = ("key_usage =", 'extended_key_usage = ["server_auth"]\nkey_usage =')


@pytest.mark.slow
def test_an_extended_key_usage_that_rules_the_devices_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limited = described("root", SERVERS)
    assert run("root", "create", "--out", "root", "--no-password", "--description", limited) == 0
    assert run(*SIGN) == 7
    assert "The extended key usage of the CA" in capsys.readouterr().err
    assert run(*SIGN, "--signer-description", described("signer", SERVERS)) == 2
    assert "The signer's extended key usage does not include" in capsys.readouterr().err
    assert locks(SIGNER) == (False, False)
    for_servers = described("device", ("client_auth", "server_auth"))
    assert run(*SIGN, "--signer-description", "signer.toml", "--device-description", for_servers) == 0


@pytest.mark.slow
def test_request_without_chain_is_not_checked_against_device_usages(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described("signer", SERVERS)
    described("device", ("client_auth", "server_auth"))
    cas = ExternalCas(here / "cas")
    signer = ("--signer-description", "signer.toml")
    both = (*signer, "--device-description", "device.toml")
    assert run(*REQUEST, *signer, "--chain", cas.add("root", "p256"), "--out", "signer.csr") == 2
    assert "The signer's extended key usage does not include" in capsys.readouterr().err
    assert locks(SIGNER) == (False, False)
    assert run(*REQUEST, *signer, "--out", "signer.csr") == 0
    assert run(*REQUEST, *both, "--chain", cas.pem("root"), "--out", "signer.csr") == 0


@pytest.mark.parametrize("name", ["Same", "same"])
def test_definitions_with_one_file_name_are_refused(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--out", "root", "--no-password") == 0
    signer = described("signer", ('name = "signer"', 'name = "same"'))
    device = described(
        "device", ('name = "device"', f'name = "{name}"'), ("template_id = 2", "template_id = 1"), ("id = 0", "id = 1")
    )
    assert run(*SIGN, "--signer-description", signer, "--device-description", device) == 2
    assert "would be one file" in capsys.readouterr().err
    assert locks(SIGNER) == (False, False)


@pytest.mark.slow
def test_a_root_that_has_given_all_ids(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--out", "root", "--no-password") == 0
    with Path("root/signers.tsv").open("a") as register:
        for number in range(1, 0xFFFE):
            register.write(f"{number:04X}\t{number:040x}\tExample ATECC608A Signer\t2026-01-01T00:00:00+00:00\n")
    assert run("signer", "create", "--root", "root", "--out", "last", "--no-password") == 0
    assert "signer id FFFE" in capsys.readouterr().out
    assert run(*SIGN) == 2
    assert "no unused signer id left (65,534 are in use)" in capsys.readouterr().err
    assert locks(SIGNER) == (False, False)
