"""The settings file: read as a whole, refused with the line, and what wins over it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from provisioning_server import cli
from provisioning_server.commands.parameter_types import CommandLine, Duration, LedgerUrl, RateLimit
from provisioning_server.orders.rates import Rate
from provisioning_server.settings import DEFAULT_PORT, Settings
from provisioning_server.settings_file import read_settings
from tests.support.system_programs import require_program

WHOLE = """\
signer = ["one", "/two"]
module = ["emulator:chip.json"]
module-folder = "modules"
scan = true
data = "data"
bind = "127.0.0.2"
port = 1234
plain-network = false
allow-rekey = true
"""
EXAMPLE = Path(__file__).parents[2] / "configs" / "provisioning-server.toml"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Settings of the servers that were started."""
    found: list[Settings] = []
    monkeypatch.setattr(cli, "serve", found.append)
    return found


def start(*words: object) -> None:
    CliRunner().invoke(cli.command, list(map(str, words)), catch_exceptions=False, standalone_mode=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "server.toml"
    path.write_text(text)
    return path


def test_a_file_sets_what_options_set(tmp_path: Path, started: list[Settings]) -> None:
    (tmp_path / "modules").mkdir()
    start("--settings", written(tmp_path, WHOLE))
    (settings,) = started
    assert settings.signer_folders == (tmp_path / "one", Path("/two"))
    assert settings.modules == ("emulator:chip.json",)
    assert settings.module_folder == tmp_path / "modules"
    assert settings.data == tmp_path / "data"
    assert (settings.scan, settings.allow_rekey, settings.plain_network) == (True, True, False)
    assert (settings.bind, settings.port) == ("127.0.0.2", 1234)


def test_options_win_over_variables_and_these_over_the_file(
    tmp_path: Path, started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, 'signer = ["one"]\nport = 1\nbind = "127.0.0.2"\n')
    monkeypatch.setenv("PROVISIONING_SERVER_PORT", "2")
    monkeypatch.setenv("PROVISIONING_SERVER_BIND", "127.0.0.3")
    monkeypatch.setenv("PROVISIONING_SERVER_SETTINGS", str(path))
    start("--port", "3", "--signer", "other")
    start("--bind", "127.0.0.4")
    monkeypatch.delenv("PROVISIONING_SERVER_SETTINGS")
    monkeypatch.delenv("PROVISIONING_SERVER_PORT")
    start("--signer", "other")
    found = [(settings.signer_folders, settings.bind, settings.port) for settings in started]
    assert found == [
        ((Path("other"),), "127.0.0.3", 3),
        ((tmp_path / "one",), "127.0.0.4", 2),
        ((Path("other"),), "127.0.0.3", DEFAULT_PORT),
    ]


def test_the_example_is_a_settings_file() -> None:
    assert read_settings(EXAMPLE, cli.command)["port"] == DEFAULT_PORT
    lines = EXAMPLE.read_text().splitlines()
    disabled = [line.lstrip("# ") for line in lines if line.startswith("# ") and " = " in line]
    assert len(disabled) == 7
    tomllib.loads("\n".join(disabled))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("port = 1\nprot = 2\n", "line 2: 'prot' is not a setting"),
        ("port = 1\n[server]\nport = 2\n", "line 2: 'server' is not a setting"),
        ('\n\n"settings" = "other.toml"\n', "line 3: 'settings' is not a setting"),
        ("help = true\n", "line 1: 'help' is not a setting"),
        ("version = true\n", "line 1: 'version' is not a setting"),
        ("accept-clock = 'always'\n", "line 1: 'accept-clock' is not a setting"),
        ("password-fd = -1\n", "line 1: password-fd: -1 is not in the range"),
        ('port = 1\n\nsigner = "one"\n', "line 3: signer must be a list of strings"),
        ("signer = [\n1]\n", "line 1: signer must be a string"),
        ('scan = "yes"\n', "line 1: scan must be true or false"),
        ("scan = 1\n", "line 1: scan must be true or false"),
        ("port = true\n", "line 1: port must be a whole number"),
        ('# port\nport = "11235"\n', "line 2: port must be a whole number"),
        ("scan = true\nport = 70000\n", "line 2: port: 70000 is not in the range"),
        ("data = 1\n", "line 1: data must be a string"),
        ('data = ""\n', "line 1: data must be a string"),
        ('data = "a\\u0000b"\n', "line 1: data must be a string"),
        ('log-level = "loud"\n', "line 1: log-level: 'loud' is not one of 'debug', 'info', 'warning', 'error'"),
        ("verbose = 1\n", "line 1: 'verbose' is not a setting"),
        ("bind.to = 1\n", "line 1: bind must be a string"),
        ("port = 1\nport 2\n", "not TOML: .*line 2"),
        ("port = 1\nport = 2\n", "not TOML: "),
    ],
)
def test_error_names_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        start("--settings", written(tmp_path, text))
    assert caught.value.code == Code.FILE_INVALID


def test_missing_settings_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        start("--settings", tmp_path / "nowhere.toml")
    assert caught.value.code == Code.FILE_UNREADABLE


def accepts(path: Path, data: bytes) -> dict[str, Any] | None:
    path.write_bytes(data)
    try:
        return read_settings(path, cli.command)
    except UsageError:
        return None


@pytest.mark.slow
def test_a_file_cut_anywhere_or_with_a_flipped_bit_gives_settings_or_a_typed_error(tmp_path: Path) -> None:
    path, whole = tmp_path / "server.toml", WHOLE.encode()
    for size in range(len(whole)):
        accepts(path, whole[:size])
    for position in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        accepts(path, bytes(flipped))
    assert accepts(path, whole) is not None


@given(data=st.binary(max_size=60))
def test_garbage_gives_settings_or_a_typed_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    accepts(tmp_path_factory.getbasetemp() / "garbage.toml", data)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = require_program("systemd-analyze")
    text = EXAMPLE.with_suffix(".service").read_text()
    assert text.count("ExecStart=/usr/local/bin/provisioning-server ") == 1
    unit = tmp_path / "provisioning-server.service"
    unit.write_text(text.replace("/usr/local/bin/provisioning-server", sys.executable))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "provisioning-server" not in done.stderr, done.stderr


def test_unit_is_rated_ok_by_systemd() -> None:
    """Up to 4.9 of 10 the rating is OK; the example has a lower exposure still."""
    analyze = require_program("systemd-analyze")
    unit = EXAMPLE.with_suffix(".service")
    words = [analyze, "security", "--offline=yes", "--threshold=25", "--no-pager", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Overall exposure level for provisioning-server\.service: \d\.\d OK", done.stdout), done.stdout


def test_every_option_can_stand_in_a_file() -> None:
    """A new option gets its key automatically, or this test shows that its type is new."""
    for option in cli.command.params:
        assert isinstance(option, click.Option)
        known = (
            click.types.IntParamType,
            click.types.StringParamType,
            click.Path,
            click.types.BoolParamType,
            click.Choice,
            CommandLine,
            Duration,
            LedgerUrl,
            RateLimit,
        )
        assert isinstance(option.type, known), option.name


@pytest.mark.parametrize(("value", "rate"), [("90/m", Rate(90, 60)), ("none", None)])
def test_rate_stands_in_a_file_as_on_the_command_line(tmp_path: Path, value: str, rate: Rate | None) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'rate = "{value}"\n')
    assert read_settings(settings, cli.command) == {"rate": rate}
