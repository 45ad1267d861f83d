from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from signer_module.on_files.root_folder import RootFolder
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.programs import run_signer_module as run
from tests.support.secret_files import secret_file


@pytest.mark.slow
def test_keys_are_encrypted_unless_asked_otherwise(here: Path) -> None:
    secret_file(here / "password", "the first line\nsecond line\n")
    secret_file(here / "other", b"another password\r\n")
    assert run("root", "create", "--out", "root", "--password-file", "password") == 0
    secret = "--root-password-file"
    create = ["signer", "create", "--root", "root", "--out", "signer", "--password-file", "other"]
    assert run(*create, secret, "other") == 2
    assert not (here / "signer").exists()
    assert run(*create, secret, "password") == 0
    found = SignerFolder.load(here / "signer")
    assert found.key_is_encrypted
    assert (here / "signer" / "key.pem").read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert found.unlock(b"another password").public_key == found.public_key
    for wrong in (b"Another password", None):
        with pytest.raises(UsageError) as caught:
            found.unlock(wrong)
        assert caught.value.code == Code.PASSWORD_WRONG


@pytest.mark.slow
def test_password_from_a_file_descriptor(here: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"a secret password\n")
    os.close(write_end)
    assert run("root", "create", "--out", "root", "--password-fd", read_end) == 0
    os.close(read_end)
    assert RootFolder.load(here / "root").unlock(b"a secret password")


@pytest.mark.slow
def test_byte_order_mark_is_not_part_of_a_password(here: Path) -> None:
    longest = "longest!" * 128
    secret_file(here / "password", f"\ufeff{longest}\r\n")
    assert run("root", "create", "--out", "root", "--password-file", "password") == 0
    assert RootFolder.load(here / "root").unlock(longest.encode())
    with (here / "password").open("rb") as file:
        assert run("verify", "root", "--password-fd", file.fileno()) == 0
    secret_file(here / "password", "\ufeff\n")
    assert run("root", "create", "--out", "other", "--password-file", "password") == 2
    assert not (here / "other").exists()


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["signer", "create", "--root", "root", "--out", "signer"], "--root-password-fd"),
        (["signer", "create", "--root", "root", "--out", "signer", "--key", "key"], "--key-password-fd"),
        (["password", "change", "root"], "--old-password-fd"),
    ],
    ids=["root", "key", "old"],
)
def test_one_descriptor_gives_one_password(
    here: Path, command: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A first line that is read ahead, or that a key without a password leaves to the next, would be the wrong one."""
    assert run("root", "create", "--out", "root", "--no-password") == 0
    read_end, write_end = os.pipe()
    os.write(write_end, b"of the root\nof the signer\n")
    os.close(write_end)
    assert run(*command, option, read_end, "--password-fd", read_end) == 2
    assert f"{option} and --password-fd are both file descriptor {read_end}." in capsys.readouterr().err
    assert os.read(read_end, 100) == b"of the root\nof the signer\n"
    os.close(read_end)
    assert not (here / "signer").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--password-file", "missing"], "missing cannot be read"),
        (["--password-file", "empty"], "first line of empty is empty"),
        (["--password-file", "long"], "longer than 1024"),
        (["--password-fd", "99"], "File descriptor 99 cannot be read"),
        (["--password-file", "empty", "--no-password"], "Only one of"),
        ([], "no terminal"),
    ],
    ids=range(6),
)
def test_bad_passwords_are_refused(
    here: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret_file(here / "empty", "\nsecond")
    secret_file(here / "long", "x" * 2000)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run("root", "create", "--out", "root", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (here / "root").exists()


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["root", "create", "--out", "new"], "Use --password-file or --password-fd or --no-password."),
        (["verify", "root"], "Use --password-file or --password-fd."),
        (
            ["signer", "create", "--root", "root", "--out", "new", "--no-password"],
            "Use --root-password-file or --root-password-fd.",
        ),
    ],
)
def test_without_a_terminal_the_right_options_are_named(
    here: Path, arguments: list[str], advice: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_file(here / "password", "password of the root\n")
    assert run("root", "create", "--out", "root", "--password-file", "password") == 0
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run(*arguments) == 2
    assert capsys.readouterr().err.endswith(f"\n{advice}\n")


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.controller, terminal = pty.openpty()
        command = [sys.executable, "-m", "signer_module.cli", *arguments]
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
        os.close(terminal)
        self.seen = b""

    def wait_for(self, text: bytes) -> None:
        while text not in self.seen:
            self.seen += os.read(self.controller, 1024)

    def type(self, text: bytes) -> None:
        os.write(self.controller, text)

    def end(self) -> int:
        try:
            while data := os.read(self.controller, 1024):
                self.seen += data
        except OSError:  # the other end is closed
            pass
        os.close(self.controller)
        return self.process.wait()


@pytest.mark.slow
def test_password_on_the_terminal(here: Path) -> None:
    terminal = Terminal("root", "create", "--out", "root")
    terminal.wait_for(b"Password for the root key: ")
    terminal.type(b"from the terminal\n")
    terminal.wait_for(b"again: ")
    terminal.type(b"from the terminal\n")
    assert terminal.end() == 0
    assert b"from the terminal" not in terminal.seen
    assert RootFolder.load(here / "root").unlock(b"from the terminal")


@pytest.mark.slow
def test_interrupted_at_the_prompt(here: Path) -> None:
    terminal = Terminal("root", "create", "--out", "root")
    terminal.wait_for(b"Password for the root key: ")
    terminal.process.send_signal(2)
    assert terminal.end() == 130
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_two_passwords_on_the_terminal(here: Path) -> None:
    secret_file(here / "password", "password of the root\n")
    assert run("root", "create", "--out", "root", "--password-file", "password") == 0
    terminal = Terminal("signer", "create", "--root", "root", "--out", "signer")
    terminal.wait_for(b"Password of the root key: ")
    terminal.type(b"password of the root\n")
    terminal.wait_for(b"Password for the signer key: ")
    terminal.type(b"of the signer\n")
    terminal.wait_for(b"again: ")
    terminal.type(b"of the signer\n")
    assert terminal.end() == 0
    assert SignerFolder.load(here / "signer").unlock(b"of the signer")


def test_nothing_is_asked_when_the_folder_exists(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "root").mkdir()
    (here / "root" / "something").write_text("x")
    assert run("root", "create", "--out", "root") == 2
    assert "exists already" in capsys.readouterr().err
