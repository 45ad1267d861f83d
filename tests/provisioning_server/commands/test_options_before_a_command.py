"""`provisioning-server` with a command: which options may stand before it, and what its help shows."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from provisioning_server.cli import command
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.ledger.ledger_place import LedgerPlace
from tests.support.programs import run_in_process


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folder that a command was given; the command is `ledger`."""
    folders: list[Path] = []

    @click.command("ledger")
    @ledger_options
    def noted(place: LedgerPlace) -> None:
        folders.append(place.data)

    monkeypatch.setattr(command, "get_command", lambda context, name: noted if name == "ledger" else None)
    return folders


def test_help_shows_options_and_commands() -> None:
    ended = run_in_process(command, "--help")
    assert "[OPTIONS] [COMMAND [ARGS]...]" in ended.out
    assert "\n  --signer DIR" in ended.out
    commands = ended.out.split("\nCommands:\n")[1]
    named = [line.split()[0] for line in commands.splitlines() if line.startswith("  ") and line[2] != " "]
    assert named == sorted(named)
    assert {"audit", "ledger", "status"} <= set(named)


def test_command_takes_the_data_folder_of_the_user(seen: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/line/data")
    assert run_in_process(command, "ledger").code == 0
    assert seen == [Path("/home/line/data/atcaprov/provisioning-server")]


def test_data_folder_may_stand_before_the_command(seen: list[Path]) -> None:
    assert run_in_process(command, "--data", "here", "ledger").code == 0
    assert run_in_process(command, "--data", "here", "ledger", "--data", "there").code == 0
    assert seen == [Path("here"), Path("there")]


def test_data_folder_of_the_variable_holds_for_commands(seen: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISIONING_SERVER_DATA", "by variable")
    assert run_in_process(command, "ledger").code == 0
    assert run_in_process(command, "--data", "by option", "ledger").code == 0
    assert seen == [Path("by variable"), Path("by option")]


def test_data_folder_of_the_settings_file_holds_for_commands(seen: list[Path], tmp_path: Path) -> None:
    settings = tmp_path / "server.toml"
    settings.write_text('data = "records"\nsigner = ["signer"]\nport = 1234\n')
    assert run_in_process(command, "--settings", str(settings), "ledger").code == 0
    assert seen == [tmp_path / "records"]


@pytest.mark.parametrize("options", [("--port", "1"), ("--signer", "x"), ("-v",), ("--accept-clock", "because")])
def test_option_of_the_server_before_a_command_is_refused(seen: list[Path], options: tuple[str, ...]) -> None:
    ended = run_in_process(command, *options, "ledger")
    assert ended.code == 2
    assert "is an option for serving" in ended.err
    assert seen == []


def test_unknown_command_is_refused(tmp_path: Path) -> None:
    ended = run_in_process(command, "--signer", "x", "--data", str(tmp_path), "leger")
    assert ended.code == 2
    assert "No such command 'leger'" in ended.err
    assert list(tmp_path.iterdir()) == []
