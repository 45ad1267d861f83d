"""Files from outside are read with bounds: each attack ends in one typed error, soon and with little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.bounded_reading import (
    MAX_DEPTH,
    MAX_FILE,
    MalformedError,
    parse_json,
    parse_toml,
    read_bytes,
    read_text,
    shown,
)
from atcaprov.cli.main import atcaprov
from provisioning_client.cli import command as provisioning_client
from provisioning_server.cli import command as provisioning_server
from signer_module.cli import cli as signer_module
from tests.support.programs import run_in_process

DEEP = 5000
MEMORY = 64 << 20
TOML = {
    "nested lists": "a = " + "[" * DEEP + "]" * DEEP,
    "lists just too deep": "a = " + "[" * MAX_DEPTH + "]" * MAX_DEPTH,
    "nested tables": "a = " + "{a = " * DEEP + "1" + "}" * DEEP,
    "a long number": "a = " + "1" * DEEP,
    "a dotted key": ".".join("a" * 20_000) + " = 1",
    "a dotted table": "[" + ".".join("a" * 20_000) + "]",
    "many dotted keys": "\n".join(".".join(f"b{n}" + "a" * 100) + " = 1" for n in range(100)),
    "no TOML": "\x00\x1b[2J",
}
JSON = {
    "nested lists": "[" * DEEP + "]" * DEEP,
    "lists just too deep": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "nested maps": '{"a":' * DEEP + "1" + "}" * DEEP,
    "a long number": '{"format": ' + "1" * DEEP + "}",
    "unfinished": "[" * 100_000,
}


@pytest.mark.parametrize("attack", TOML)
def test_hostile_toml_is_refused_with_little_memory(attack: str) -> None:
    text = TOML[attack]
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError) as caught:
            parse_toml(text)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("attack", JSON)
def test_hostile_json_is_refused(attack: str) -> None:
    with pytest.raises(MalformedError):
        parse_json(JSON[attack])


def test_deep_but_allowed_nesting_is_read() -> None:
    levels = MAX_DEPTH - 1
    assert parse_json("[" * levels + "]" * levels) is not None
    assert parse_toml("a = " + "[" * levels + "]" * levels)
    assert parse_toml("# " + "." * 200 + "\noid = '1.3.6.1.4.1.311.20.2.2'\n")["oid"].count(".") == 9


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_toml, parse_json):
        try:
            parse(text)
        except MalformedError:
            continue


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        read_bytes(Path("/dev/zero"))
    assert caught.value.code == Code.FILE_INVALID
    assert str(MAX_FILE) in caught.value.what


@pytest.mark.parametrize("name", ["missing", ".", "a\0b"])
def test_unreadable_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_text(tmp_path / name)
    assert caught.value.code == Code.FILE_UNREADABLE


def test_text_has_no_mark_and_plain_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\n")
    assert read_text(path) == "a\nb\n"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not text in UTF-8"):
        read_text(path)


def test_a_value_in_a_message_is_short_and_printable() -> None:
    assert shown("x" * 1000) == "'" + "x" * 59 + "..."
    assert shown("\u202e\x1b").isprintable()


# From outside: each program with each file that it reads.

PLACES: dict[str, tuple[click.Command, tuple[str, ...], str]] = {
    "cert info": (provisioning_client, ("--device", "emulator:", "--certinfo", "{}"), ""),
    "configuration": (provisioning_client, ("--device", "emulator:", "--config", "{}"), ""),
    "configuration in TOML": (provisioning_client, ("--device", "emulator:", "--config", "{}"), ".toml"),
    "checked configuration": (atcaprov, ("config", "check", "{}"), ".toml"),
    "settings": (provisioning_server, ("--settings", "{}"), ".toml"),
    "description": (
        signer_module,
        ("root", "create", "--out", "root", "--no-password", "--description", "{}"),
        ".toml",
    ),
    "device description": (
        atcaprov,
        ("request", "--device", "emulator:", "--description", "{}", "--out", "x"),
        ".toml",
    ),
    "chip file": (atcaprov, ("emulator", "diff", "{}", "{}"), ".json"),
    "image": (atcaprov, ("request", "--device", "emulator:?image={}", "--out", "x"), ".json"),
    "fault plan": (atcaprov, ("request", "--device", "emulator:?faults={}", "--out", "x"), ".toml"),
    "trace": (atcaprov, ("emulator", "replay", "{}", "emulator:"), ".trace"),
    "certificate": (signer_module, ("signer", "import", "--device", "emulator:", "--certificate", "{}"), ".pem"),
}
TEXTS = {f"TOML: {name}": text for name, text in TOML.items()} | {f"JSON: {name}": text for name, text in JSON.items()}
FILES: dict[str, Callable[[Path], object]] = {
    "without end": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "empty": lambda path: path.touch(),
    "not text": lambda path: path.write_bytes(bytes(range(256))),
    "a link to itself": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("file", [*TEXTS, *FILES])
@pytest.mark.parametrize("place", PLACES)
def test_each_program_ends_in_a_typed_error(
    place: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, arguments, suffix = PLACES[place]
    path = tmp_path / f"file{suffix}"
    if file in TEXTS:
        path.write_text(TEXTS[file])
    else:
        FILES[file](path)
    done = run_in_process(command, *(argument.replace("{}", str(path)) for argument in arguments))
    assert done.code not in (0, 1), done.err
    assert "Error" in done.err + done.out
    assert "Traceback" not in done.err
