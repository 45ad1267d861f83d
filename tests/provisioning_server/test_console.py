"""The console of the guide, byte for byte, behind a real terminal."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from signer_module.on_files.signer_folder import SignerFolder
from tests.support.server import PATIENCE, server_command, server_environment
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

PASSWORD = b"correct horse"


@pytest.fixture(scope="module")
def locked_signer(tmp_path_factory: pytest.TempPathFactory) -> SignerFolder:
    return make_signer_folder(tmp_path_factory.mktemp("locked"), password=PASSWORD)


@pytest.fixture
def console(locked_signer: SignerFolder, tmp_path: Path) -> Iterator[pexpect.spawn]:
    program, *options = server_command("--signer", locked_signer.path, "--data", tmp_path, "--port", 0)
    child = pexpect.spawn(program, options, env=server_environment(), timeout=PATIENCE)
    child.delaybeforesend = None
    child.setwinsize(24, 200)
    yield child
    child.close(force=True)


def _name(signer: SignerFolder) -> bytes:
    return f"Signer ({signer.serial.hex().upper()}, {signer.name})".encode()


def _everything(console: pexpect.spawn) -> bytes:
    """All that was shown since the last look, until the program ends."""
    console.expect(pexpect.EOF)
    shown: bytes = console.before
    console.wait()
    return shown


def test_the_console_of_the_guide(console: pexpect.spawn, locked_signer: SignerFolder, tmp_path: Path) -> None:
    name = _name(locked_signer)
    console.expect_exact(name + b" password: ")
    start = console.before + console.after
    console.send(PASSWORD + b"\r")
    console.expect_exact(b"ready.\r\n")
    accepted = console.before + console.after
    console.send(b"\x1b")
    rest = _everything(console)
    stamp = rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, info\] "
    expected = (
        rb"Press ESC to quit\.\r\n"
        + stamp + rb"Provisioning Server started\.\r\n"
        + stamp + rb"Signer Manager started\.\r\n"
        + stamp + rb"Server starting\.\.\.\r\n"
        + stamp + rb"Server listening on 127\.0\.0\.1:\d+\.\r\n"
        + stamp + re.escape(name) + rb" requires password\.\r\n"
        + re.escape(name) + rb" password: "
        + rb"\r\n"
        + stamp + re.escape(name) + rb" password accepted, ready\.\r\n"
        + stamp + rb"Server stopping\.\.\.\r\n"
        + stamp + rb"Provisioning Server stopped\.\r\n"
    )  # fmt: skip
    assert re.fullmatch(expected, start + accepted + rest), start + accepted + rest
    assert console.exitstatus == 0
    for log in (tmp_path / "logs").iterdir():
        assert PASSWORD not in log.read_bytes()


def test_a_wrong_password_is_asked_again(console: pexpect.spawn, locked_signer: SignerFolder) -> None:
    prompt = _name(locked_signer) + b" password: "
    console.expect_exact(prompt)
    console.send(b"wrong\r")
    console.expect_exact(_name(locked_signer) + b" password wrong.\r\n")
    console.expect_exact(prompt)
    console.send(PASSWORD + b"x\x7f\r")
    console.expect_exact(b"password accepted, ready.\r\n")
    console.send(b"\x1b")
    _everything(console)
    assert console.exitstatus == 0


def test_esc_quits_while_a_password_is_asked_and_arrow_keys_do_not(
    console: pexpect.spawn, locked_signer: SignerFolder
) -> None:
    console.expect_exact(b" password: ")
    console.send(b"\x1b[A\x1b[B" + PASSWORD + b"\r")
    console.expect_exact(b"password accepted, ready.\r\n")
    console.send(b"\x1b[A")
    console.send(b"\x1b")
    assert _everything(console).count(b"Server stopping...") == 1
    assert console.exitstatus == 0


def test_esc_at_the_password_prompt_quits(console: pexpect.spawn) -> None:
    console.expect_exact(b" password: ")
    console.send(b"secre\x1b")
    assert b"secre" not in _everything(console)
    assert console.exitstatus == 0


def test_ctrl_c_quits_in_order(console: pexpect.spawn) -> None:
    console.expect_exact(b" password: ")
    console.send(b"\x03")
    assert b"Provisioning Server stopped." in _everything(console)
    assert console.exitstatus == 0


def test_closed_terminal_stops_the_server_in_order(console: pexpect.spawn, tmp_path: Path) -> None:
    console.expect_exact(b" password: ")
    console.ptyproc.fileobj.close()
    console.closed = console.ptyproc.closed = console.ptyproc.terminated = True
    _, status = os.waitpid(console.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGHUP)
    (log,) = (tmp_path / "logs").glob("server-*.log")
    assert log.read_text().endswith("Provisioning Server stopped.\n")
