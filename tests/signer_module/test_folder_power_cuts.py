"""Roots, signers and passwords on files, cut at every step on the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from signer_module import cli
from signer_module.on_files.root_folder import RootFolder
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.secret_files import secret_file

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
PASSWORDS = {"old": "correct horse\n", "new": "battery staple\n"}


def run(*arguments: str) -> int:
    return cli.main(arguments)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, text in PASSWORDS.items():
        secret_file(name, text)
    return folder


def cut(base: Path, *arguments: str) -> list[Path]:
    """Return folders, each left by a run that was cut at a later step; the last is that of a whole run."""
    out = base.parent / "cuts"
    out.mkdir()
    command = [sys.executable, "-m", "tests.support.power_cuts_on_disk", str(base), str(out), *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = sorted(out.iterdir(), key=lambda folder: int(folder.name))
    assert len(found) > 3
    return found


CREATE_ROOT = ("root", "create", "--out", "root", "--no-password")
CREATE_SIGNER = ("signer", "create", "--root", "root", "--out", "signer", "--no-password")


def test_root_exists_whole_or_not_at_all(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in cut(base, *CREATE_ROOT):
        monkeypatch.chdir(folder)
        there = Path("root").exists()
        assert run(*CREATE_ROOT) == (2 if there else 0)
        assert run("verify", "root") == 0


def test_signer_exists_whole_or_not_at_all_and_no_id_is_given_twice(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*CREATE_ROOT) == 0
    for folder in cut(base, *CREATE_SIGNER):
        monkeypatch.chdir(folder)
        given = RootFolder.load(Path("root")).register.issued()
        there = Path("signer").exists()
        assert run(*CREATE_SIGNER) == (2 if there else 0)
        assert run("verify", "signer") == 0
        signer = SignerFolder.load(Path("signer"))
        assert signer.signer_id.hex() == ("0001" if there or not given else "0002")
        assert len(RootFolder.load(Path("root")).register.issued()) == int(signer.signer_id.hex())


@pytest.mark.parametrize("verb", ["set", "change"])
def test_a_key_has_the_old_password_or_the_new_one(base: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    assert run(*CREATE_ROOT) == 0
    old: tuple[str, ...] = ()
    if verb == "change":
        assert run("password", "set", "root", "--password-file", "old") == 0
        old = ("--old-password-file", "old")
    command = ("password", verb, "root", *old, "--password-file", "new")
    for folder in cut(base, *command):
        monkeypatch.chdir(folder)
        done = (
            run("verify", "root", "--password-file", "new") == 0 and b"ENCRYPTED" in Path("root/key.pem").read_bytes()
        )
        if not done:
            assert run("verify", "root", "--password-file", "old") == 0
            assert run(*command) == 0
        assert run("password", "check", "root", "--password-file", "new") == 0
        assert run("password", "check", "root", "--password-file", "old") == 2


def test_incomplete_row_of_the_register_is_overwritten(base: Path) -> None:
    assert run(*CREATE_ROOT) == 0
    assert run(*CREATE_SIGNER, "--signer-id", "0034") == 0
    register = Path("root/signers.tsv")
    whole = register.read_bytes()
    row = whole.splitlines(keepends=True)[1].replace(b"0034", b"0035")
    for size in range(1, len(row)):
        register.write_bytes(whole + row[:size])
        assert list(RootFolder.load(Path("root")).register.issued()) == ["0034"]
    assert run("signer", "create", "--root", "root", "--out", "next", "--no-password", "--signer-id", "0035") == 0
    assert list(RootFolder.load(Path("root")).register.issued()) == ["0034", "0035"]
