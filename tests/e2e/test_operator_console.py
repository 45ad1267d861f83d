"""An operator at a real terminal: ENTER, ESC, other keys, Ctrl-C, and what the screen shows."""

from __future__ import annotations

from collections.abc import Iterator

import pexpect
import pytest

from tests.e2e.conftest import Factory
from tests.provisioning_client.test_board_loop import GUIDE
from tests.support.programs import program

pytestmark = pytest.mark.slow

PROMPT = "    Press ENTER to provision...\r\n"


@pytest.fixture
def console(factory: Factory) -> Iterator[pexpect.spawn]:
    words = ["--certinfo", str(factory.certinfo), "--port", str(factory.port), "--device", "emulator:"]
    child = pexpect.spawn(program("provisioning-client"), words, encoding="utf-8", timeout=30)
    child.expect_exact("Press ESC to quit.\r\n")
    yield child
    child.close(force=True)


def _end(console: pexpect.spawn) -> int | None:
    console.expect(pexpect.EOF)
    console.wait()
    status: int | None = console.exitstatus
    return status


def test_enter_starts_each_board_and_esc_quits(console: pexpect.spawn) -> None:
    for _ in range(2):
        console.expect_exact(PROMPT)
        console.send("\r")
        for line in GUIDE.splitlines()[3:13]:
            console.expect_exact(f"{line}\r\n")
        console.expect_exact("    This is a software chip: no real board was provisioned.\r\n")
        console.expect_exact("Provisioning successful! Please remove board...\r\n")
        console.expect_exact("Board removed. Waiting for board to be connected...ok\r\n")
    console.expect_exact(PROMPT)
    console.send("\x1b")
    assert _end(console) == 0


def test_scanned_text_and_enter_starts_a_board(console: pexpect.spawn) -> None:
    console.expect_exact(PROMPT)
    console.send("UNIT-0042\r")
    console.expect_exact("Provisioning successful! Please remove board...\r\n")


def test_arrow_keys_do_nothing(console: pexpect.spawn) -> None:
    console.expect_exact(PROMPT)
    console.send("\x1b[A\x1bOB")
    console.send("\r")
    console.expect_exact("Provisioning successful! Please remove board...\r\n")


def test_ctrl_c_ends_with_130(console: pexpect.spawn) -> None:
    console.expect_exact(PROMPT)
    console.sendintr()
    console.expect_exact("Interrupted.")
    assert _end(console) == 130


def test_typed_characters_are_not_shown(console: pexpect.spawn) -> None:
    console.expect_exact(PROMPT)
    console.send("abc\r")
    console.expect_exact("Writing config zone")
    assert "abc" not in console.before
