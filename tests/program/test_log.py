"""The log of the programs: its lines, its levels, and what never stands in it."""

from __future__ import annotations

import logging
import re
import sys
from datetime import datetime

import click
import pytest

from atcaprov.cli.main import atcaprov
from atcaprov.program.log_options import log_options
from atcaprov.program.log_output import BytesMask, LineFormatter, logged_on_stderr, masked
from provisioning_client.cli import command as provisioning_client
from provisioning_server.cli import command as provisioning_server
from signer_module.cli import cli as signer_module
from tests.support.programs import run_in_process

LIBRARY = "atcaprov.hal.registry"


def line(text: str, *args: object, name: str = LIBRARY, level: int = logging.INFO) -> str:
    record = logging.LogRecord(name, level, __file__, 1, text, args, None)
    BytesMask().filter(record)
    return LineFormatter(lambda: datetime(2015, 11, 6, 15, 51, 7)).format(record)


@pytest.mark.parametrize(
    ("level", "word"),
    [(logging.DEBUG, "debug"), (logging.INFO, "info"), (logging.WARNING, "warning"), (logging.ERROR, "error")],
)
def test_lines_have_the_form_of_the_guide(level: int, word: str) -> None:
    assert line("Server started.", name="program", level=level) == f"[2015-11-06 15:51:07, {word}] Server started."


def test_lines_of_the_library_name_their_module() -> None:
    assert line("%s: opened.", "i2c://1") == f"[2015-11-06 15:51:07, info] {LIBRARY}: i2c://1: opened."


def test_lines_have_no_control_characters() -> None:
    assert line("%s", "a\x1b[2J\nb").endswith(": a?[2J?b")


def test_time_of_a_line_is_that_of_its_record() -> None:
    record = logging.LogRecord("program", logging.INFO, __file__, 1, "now", (), None)
    when = datetime.fromtimestamp(record.created).isoformat(" ")[:19]
    assert LineFormatter().format(record) == f"[{when}, info] now"


@pytest.mark.parametrize("value", [b"\x01" * 32, bytearray(32), memoryview(bytes(32))])
def test_bytes_are_shown_by_their_length(value: object) -> None:
    assert line("key %s", value).endswith("key (32 bytes)")
    assert line("key %r", value).endswith("key '(32 bytes)'")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2 of SN", "password=.. of SN"),
        ("pkcs11:token=line;pin-value=2468&x", "pkcs11:token=..;pin-value=..&x"),
        ("PIN: 2468", "PIN: .."),
        ("passphrase = x", "passphrase = .."),
        ("key " + "ab" * 16 + ".", "key ..."),
        ("key " + " ".join(["AB"] * 32), "key .."),
        ("chip 01234038D92CA571EE at i2c://1/0x60", "chip 01234038D92CA571EE at i2c://1/0x60"),
        ("GEN_KEY(04, 0000): 67 bytes (12.0 ms)", "GEN_KEY(04, 0000): 67 bytes (12.0 ms)"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@click.command("noisy")
@log_options()
@click.pass_context
def noisy(context: click.Context, log_level: int | None) -> None:
    """Log a line of each level."""
    context.with_resource(logged_on_stderr(log_level))
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("atcaprov.noise").log(level, "noise")
        logging.getLogger("other.project").log(level, "of others")


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        ([], ["warning", "error"]),
        (["-q"], ["error"]),
        (["-v"], ["info", "warning", "error"]),
        (["-vv"], ["debug", "info", "warning", "error"]),
        (["-vvv"], ["debug", "info", "warning", "error"]),
        (["--verbose", "--verbose"], ["debug", "info", "warning", "error"]),
        (["--log-level", "debug"], ["debug", "info", "warning", "error"]),
        (["--log-level", "info"], ["info", "warning", "error"]),
        (["--log-level", "warning"], ["warning", "error"]),
        (["--log-level", "error"], ["error"]),
    ],
)
def test_options_choose_the_level(words: list[str], levels: list[str]) -> None:
    with_others = logging.getLogger("other")
    with_others.addHandler(silent := logging.NullHandler())
    done = run_in_process(noisy, *words)
    with_others.removeHandler(silent)
    assert (done.code, done.out) == (0, "")
    assert re.findall(r", (\w+)\] atcaprov\.noise: noise", done.err) == levels
    assert "of others" not in done.err


@pytest.mark.parametrize("words", [["-v", "-q"], ["-v", "--log-level", "info"], ["-q", "--log-level", "info"]])
@pytest.mark.parametrize("program", [atcaprov, provisioning_client, provisioning_server, signer_module])
def test_options_cannot_be_used_together(program: click.Command, words: list[str]) -> None:
    rest = {"atcaprov": ["config", "show"], "cli": ["description", "root"]}.get(program.name or "", [])
    done = run_in_process(program, *words, *rest)
    first, second = (word for word in words if word.startswith("-"))
    assert done.code == 2
    assert f"Error: {first} and {second} cannot be used together. Use one of them.\n" in done.err


def test_log_is_removed_when_its_program_ends() -> None:
    logger = logging.getLogger("atcaprov")
    before = logger.level, list(logger.handlers)
    run_in_process(noisy, "-vv")
    assert (logger.level, logger.handlers) == before


def test_closed_standard_error_does_not_end_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, text: str) -> None:
            raise OSError("gone")

        flush = None

    with logged_on_stderr(logging.DEBUG):
        monkeypatch.setattr(sys, "stderr", Closed())
        logging.getLogger(LIBRARY).error("lost")
