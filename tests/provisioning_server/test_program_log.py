from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.log import log_event
from provisioning_server import log_writer
from provisioning_server.program_log import ProgramLog


def _log(file: io.StringIO | None, console: io.StringIO | None) -> ProgramLog:
    return ProgramLog(file, console, lambda: datetime(2015, 11, 6, 15, 51, 7))


def test_lines_look_as_in_the_guide_in_file_and_on_console() -> None:
    file, console = io.StringIO(), io.StringIO()
    log = _log(file, console)
    log.say("Press ESC to quit.")
    log.info("Provisioning Server started.")
    log.warning("careful")
    log.last_words("the end")
    log.close()
    started = "[2015-11-06 15:51:07, info] Provisioning Server started.\n[2015-11-06 15:51:07, warning] careful\n"
    assert console.getvalue() == "Press ESC to quit.\n" + started
    assert file.getvalue() == started + "[2015-11-06 15:51:07, error] the end\n"


def test_client_data_cannot_forge_a_line_or_move_the_cursor() -> None:
    file = io.StringIO()
    log = _log(file, None)
    log.info("a\n[2015-11-06 15:51:07, info] b\x1b[2J")
    log.close()
    assert file.getvalue() == "[2015-11-06 15:51:07, info] a?[2015-11-06 15:51:07, info] b?[2J\n"


class SteppedConsole(io.StringIO):
    """Lets a test wait until something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = threading.Semaphore(0)

    def flush(self) -> None:
        super().flush()
        self.flushed.release()


def test_a_prompt_stays_the_last_line() -> None:
    console = SteppedConsole()
    log = _log(None, console)
    steps: list[tuple[Callable[[], None], str]] = [
        (lambda: log.ask("password: "), "password: "),
        (lambda: log.say("line"), "\nline\npassword: "),
        (log.answered, "\n"),
        (lambda: log.say("line"), "line\n"),
    ]
    expected = ""
    for act, text in steps:
        act()
        assert console.flushed.acquire(timeout=60)
        expected += text
        assert console.getvalue() == expected
    log.close()


class BrokenStream(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_failed_stream_is_given_up_and_the_other_goes_on() -> None:
    console = io.StringIO()
    log = _log(BrokenStream(), console)
    log.info("one")
    log.info("two")
    log.close()
    assert re.findall(r"one|two", console.getvalue()) == ["one", "two"]


def test_lines_that_are_not_read_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "WAITING_MAX", 3)
    writing, go_on = threading.Event(), threading.Event()

    class StoppedConsole(io.StringIO):
        def write(self, text: str) -> int:
            writing.set()
            assert go_on.wait(60)
            return super().write(text)

    console = StoppedConsole()
    log = _log(None, console)
    log.say("first")
    assert writing.wait(60)
    for number in range(10):
        log.say(f"line {number}")
    go_on.set()
    log.close()
    dropped = "[2015-11-06 15:51:07, warning] 7 lines were dropped: the console or the disk is too slow.\n"
    assert console.getvalue() == "first\nline 0\nline 1\nline 2\n" + dropped


OWN = (
    "[2015-11-06 15:51:07, info] own\n",
    "[2015-11-06 15:51:07, warning] own\n",
    "[2015-11-06 15:51:07, error] own\n",
)


@pytest.mark.parametrize(
    ("level", "of_library", "own_on_console"),
    [
        (None, [], OWN),
        (logging.DEBUG, ["debug", "info", "warning"], OWN),
        (logging.INFO, ["info", "warning"], OWN),
        (logging.WARNING, ["warning"], OWN[1:]),
        (logging.ERROR, [], OWN[2:]),
    ],
)
def test_level_adds_the_library_and_quiets_the_console_only(
    level: int | None, of_library: list[str], own_on_console: tuple[str, ...]
) -> None:
    file, console = io.StringIO(), io.StringIO()
    log = ProgramLog(file, console, lambda: datetime(2015, 11, 6, 15, 51, 7), level)
    library = logging.getLogger("atcaprov.somewhere")
    silent = logging.NullHandler()
    library.addHandler(silent)
    for write in (log.info, log.warning, log.error):
        write("own")
    for each in (logging.DEBUG, logging.INFO, logging.WARNING):
        library.log(each, "key %s", bytes(32))
    log.close()
    library.warning("after its end")
    library.removeHandler(silent)
    lines = [f"[2015-11-06 15:51:07, {each}] atcaprov.somewhere: key (32 bytes)\n" for each in of_library]
    assert file.getvalue() == "".join([*OWN, *lines])
    assert console.getvalue() == "".join([*own_on_console, *lines])


def test_percent_signs_are_text() -> None:
    file = io.StringIO()
    log = _log(file, None)
    log.info("100 %s full")
    log.close()
    assert file.getvalue() == "[2015-11-06 15:51:07, info] 100 %s full\n"


def _json_log(file: io.StringIO | None, console: io.StringIO | None) -> ProgramLog:
    return ProgramLog(file, console, lambda: datetime(2015, 11, 6, 15, 51, 7, 250_000, tzinfo=UTC), as_json=True)


def test_console_has_json_lines_and_the_file_the_texts() -> None:
    file, console = io.StringIO(), io.StringIO()
    log = _json_log(file, console)
    log.say("Press ESC to quit.")
    log.info(log_event("refused", "Device (0123) refused.", chip=b"\x01\x23", code="signer-unknown", station=""))
    log.warning("careful")
    log.close()
    time = {"time": "2015-11-06T15:51:07.250Z"}
    assert [json.loads(line) for line in console.getvalue().splitlines()] == [
        {**time, "level": "info", "event": "message", "text": "Press ESC to quit."},
        {
            **time, "level": "info", "event": "refused", "chip": "0123", "code": "signer-unknown",
            "text": "Device (0123) refused.",
        },
        {**time, "level": "warning", "event": "message", "text": "careful"},
    ]  # fmt: skip
    assert file.getvalue() == (
        "[2015-11-06 15:51:07, info] Device (0123) refused.\n[2015-11-06 15:51:07, warning] careful\n"
    )


@given(st.text(), st.text())
def test_any_text_is_one_json_line_without_control_characters(text: str, client: str) -> None:
    console = io.StringIO()
    log = _json_log(None, console)
    log.info(log_event("connected", text, client=client))
    log.close()
    (line,) = console.getvalue().splitlines()
    assert line.isascii()
    assert all(value.isprintable() for value in json.loads(line).values())


def test_library_is_masked_in_json_lines_too() -> None:
    console = io.StringIO()
    log = ProgramLog(None, console, level=logging.DEBUG, as_json=True)
    logging.getLogger("atcaprov.hal.registry").debug("password=geheim %s", b"\x01\x02")
    log.close()
    found = json.loads(console.getvalue())
    assert (found["event"], found["logger"]) == ("library", "atcaprov.hal.registry")
    assert found["text"] == "password=.. (2 bytes)"


@pytest.mark.skipif(os.name != "posix", reason="Windows renames no open file")
def test_renamed_log_is_followed_by_a_new_file(tmp_path: Path) -> None:
    path, old = tmp_path / "server.log", tmp_path / "server.log.1"
    with path.open("x", encoding="utf-8") as file:
        log = ProgramLog(file, None)
        log.info("one")
        log.reopen()  # it is in its place: nothing happens
        log.info("two")
        while path.read_text().count("\n") < 2:
            pass
        path.rename(old)
        log.info("three")
        log.reopen()
        while not path.exists():
            pass
        log.info("four")
        log.close()
    assert [line.split()[-1] for line in old.read_text().splitlines()] == ["one", "two", "three"]
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["four"]


def test_folder_of_the_log_that_has_gone_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with (folder / "server.log").open("x", encoding="utf-8") as file:
        log = ProgramLog(file, console := io.StringIO())
        (folder / "server.log").unlink()
        folder.rmdir()
        log.reopen()
        log.info("on it goes")
        log.close()
    assert "on it goes" in console.getvalue()
