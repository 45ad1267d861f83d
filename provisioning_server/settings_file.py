"""The settings file of `--settings`: TOML, one key for each option of the command line, under the same name.

What an option or an environment variable says wins over the file. Relative paths start at the file's folder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from atcaprov.bounded_reading import MalformedError, parse_toml, read_text
from atcaprov.errors import Code, UsageError

OPTION: Final = "settings"
_NOT_IN_A_FILE: Final = (OPTION, "help", "version", "accept-clock", "verbose", "quiet")
"""The clock is accepted at one start, by someone who has checked it: never by a file that stays. A file sets the log
by `log-level`."""


def settings_option() -> click.Option:
    """Return `--settings FILE`; it sets the options that are not set otherwise."""
    return click.Option(
        [f"--{OPTION}"],
        metavar="FILE",
        type=click.Path(path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_apply,
        help="TOML file with options under their names; options on the command line win.",
    )


def _apply(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.default_map = read_settings(path, context.command)


def read_settings(path: Path, command: click.Command) -> dict[str, Any]:
    """Return the values of a settings file by the parameter names of a command.

    Raises:
        UsageError: FILE_UNREADABLE; FILE_INVALID with the line for an unknown key or a value of the wrong type.
    """
    text = read_text(path)
    try:
        found = parse_toml(text)
    except MalformedError as error:
        raise UsageError(f"{path} is not TOML: {error}.", code=Code.FILE_INVALID) from error
    options = {_name(option): option for option in command.params if isinstance(option, click.Option)}
    values = {}
    for key, value in found.items():
        place = f"{path}, line {_line_of(key, text)}"
        if key not in options or key in _NOT_IN_A_FILE:
            raise UsageError(
                f"{place}: '{key}' is not a setting.",
                advice="The settings are the options that --help shows, without the two hyphens.",
                code=Code.FILE_INVALID,
            )
        option = options[key]
        assert option.name is not None
        values[option.name] = _checked(option, value, path.parent, f"{place}: {key}")
    return values


def _name(option: click.Option) -> str:
    return max(option.opts, key=len).removeprefix("--")


def _line_of(key: str, text: str) -> int:
    """Return the line of a key of the document; 1 if it is written in an unusual way."""
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[\].=]""")
    lines = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if pattern.match(line)), 1)


def _checked(option: click.Option, value: Any, folder: Path, place: str) -> Any:
    if not option.multiple:
        return _one(option, value, folder, place)
    if type(value) is not list:
        _refuse(place, "a list of strings")
    return [_one(option, each, folder, place) for each in value]


def _one(option: click.Option, value: Any, folder: Path, place: str) -> Any:
    wanted, words = _wanted(option)
    if type(value) is not wanted or value == "" or "\0" in str(value):
        _refuse(place, words)
    if isinstance(option.type, click.Path):
        return folder / str(value)
    try:
        return option.type.convert(value, option, None)
    except click.BadParameter as error:
        raise UsageError(f"{place}: {error.message}", code=Code.FILE_INVALID) from error


def _wanted(option: click.Option) -> tuple[type, str]:
    """Return the type of an option's value in the file, and its name for messages."""
    if option.is_flag:
        return bool, "true or false"
    if isinstance(option.type, click.types.IntParamType):
        return int, "a whole number"
    return str, "a string"


def _refuse(place: str, words: str) -> NoReturn:
    raise UsageError(f"{place} must be {words}.", code=Code.FILE_INVALID)
