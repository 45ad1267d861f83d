"""Keys at a real terminal: a program behind a pty prints the names of the keys that it gets."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from atcaprov.terminal.console import Console, open_console
from atcaprov.terminal.keys import Key, KeyPress

BLOCKING = """
import pathlib, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from atcaprov.terminal.console import open_console
from atcaprov.terminal.keys import Key
with open_console() as console:
    print("ready", flush=True)
    while (press := console.read_key(30)) is not None and press.key is not Key.END:
        print(f"<{press.key.value}{press.text}>", flush=True)
pathlib.Path(sys.argv[1]).write_text("end")
print("end", flush=True)
"""
ASYNC = """
import asyncio, pathlib, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from atcaprov.terminal.console import open_console
from atcaprov.terminal.keys import Key
async def main(console):
    print("ready", flush=True)
    async for press in console.keys():
        if press.key is Key.END:
            break
        print(f"<{press.key.value}{press.text}>", flush=True)
with open_console() as console:
    asyncio.run(main(console))
pathlib.Path(sys.argv[1]).write_text("end")
print("end", flush=True)
"""


@pytest.fixture(params=[BLOCKING, ASYNC], ids=["blocking", "asyncio"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[pexpect.spawn]:
    script = tmp_path / "program.py"
    script.write_text(request.param)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = pexpect.spawn(
        sys.executable, [str(script), str(tmp_path / "keys")], env=environment, timeout=20, encoding="utf-8", echo=True
    )
    child.delaybeforesend = None
    child.expect_exact("ready\r\n")  # all of it: a terminal that goes away within the line fails its write
    yield child
    child.close(force=True)


def test_keys_arrive_at_once_and_are_not_shown(program: pexpect.spawn) -> None:
    program.send("q")
    program.expect_exact("<textq>\r\n")
    assert program.before == ""
    program.send("\r")
    program.expect_exact("<enter>\r\n")
    program.send("\x1b")
    program.expect_exact("<esc>\r\n")
    program.send("\x1b[A")
    program.send("n")
    program.expect_exact("<textn>\r\n")
    assert "esc" not in program.before
    program.send("\x04")
    program.expect_exact("end\r\n")


def _gives_keys_at_once_and_shows_nothing(program: pexpect.spawn) -> bool:
    local = termios.tcgetattr(program.ptyproc.fd)[3]
    assert isinstance(local, int)
    return not local & (termios.ICANON | termios.ECHO)


def test_terminal_settings_are_restored(program: pexpect.spawn) -> None:
    assert _gives_keys_at_once_and_shows_nothing(program)
    program.send("\x04")
    program.expect_exact("end\r\n")
    local = termios.tcgetattr(program.ptyproc.fd)[3]
    assert isinstance(local, int)
    assert local & termios.ICANON
    assert local & termios.ECHO


def test_ctrl_c_is_a_signal_and_restores_the_terminal(program: pexpect.spawn) -> None:
    program.send("\x03")
    program.expect_exact("KeyboardInterrupt")
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus == 130 or program.signalstatus == signal.SIGINT


def test_terminal_that_goes_away_is_the_end(program: pexpect.spawn, tmp_path: Path) -> None:
    program.ptyproc.fileobj.close()
    program.closed = program.ptyproc.closed = program.ptyproc.terminated = True
    os.waitpid(program.pid, 0)
    assert (tmp_path / "keys").read_text() == "end"


@pytest.fixture
def piped() -> Iterator[tuple[Console, int]]:
    reader, writer = os.pipe()
    yield Console(reader), writer
    os.close(reader)


def test_reading_without_waiting(piped: tuple[Console, int]) -> None:
    console, writer = piped
    assert console.read_key(0) is None
    os.write(writer, b"ab\r")
    assert console.read_key(0) == KeyPress(Key.TEXT, "ab")
    assert console.read_key(0) == KeyPress(Key.ENTER)
    assert console.read_key(0) is None
    os.write(writer, b"\x1b")
    assert console.read_key(0) is None
    assert console.read_key(30) == KeyPress(Key.ESC)
    os.close(writer)


def test_input_can_be_dropped_but_esc_in_it_is_reported(piped: tuple[Console, int]) -> None:
    console, writer = piped
    os.write(writer, b"typed\r\r")
    assert not console.drop_typed()
    assert console.read_key(0) is None
    os.write(writer, b"typed\x1b\r")
    assert console.drop_typed()
    assert console.read_key(0) is None
    os.close(writer)
    assert console.drop_typed()


def test_every_read_after_the_end_returns_the_end(piped: tuple[Console, int]) -> None:
    console, writer = piped
    os.write(writer, b"x")
    os.close(writer)
    assert console.read_key(0) == KeyPress(Key.TEXT, "x")
    assert [console.read_key(timeout) for timeout in (None, 0, 30)] == [KeyPress(Key.END)] * 3


def test_without_a_terminal_there_is_no_console() -> None:
    with Path(os.devnull).open("rb") as nothing, open_console(nothing.fileno()) as console:
        assert console is None


def test_background_job_has_no_console() -> None:
    leader, follower = os.openpty()
    try:
        with open_console(follower) as console:
            assert console is None
    finally:
        os.close(leader)
        os.close(follower)
