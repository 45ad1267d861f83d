"""Options that the commands of `atcaprov chip` share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from atcaprov.program.console_text import say

_Command = TypeVar("_Command", bound=Callable[..., Any])
FILE: Final = click.Path(dir_okay=False, path_type=Path)


def device_option(function: _Command) -> _Command:
    """Take the device URL of one chip."""
    return click.option("--device", "url", metavar="URL", required=True, help="The chip, such as kit-hid://.")(function)


def json_option(function: _Command) -> _Command:
    """Let a command print one JSON object per chip, on one line."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")(function)


def trace_option(function: _Command) -> _Command:
    """Let a command record what passes between host and chip."""
    option = click.option(
        "--trace",
        metavar="FILENAME",
        type=FILE,
        help="Record all commands and replies of the chip, without secrets.",
    )
    return option(function)


def say_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    say(json.dumps(content))


def hex_text(content: bytes | None) -> str | None:
    """Return bytes as JSON has them: upper-case hex; None stays None."""
    return None if content is None else content.hex().upper()
