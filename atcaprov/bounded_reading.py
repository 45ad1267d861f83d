"""Read files from outside within limits: first of their size, then of their nesting and of the length of numbers.

A device that never ends, a text of a thousand brackets, a key of ten thousand dots and a number of five thousand digits
each end in an error before they cost memory or time.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeVar

from atcaprov.errors import Code, UsageError
from atcaprov.terminal.printable import printable

MAX_FILE: Final = 1 << 20
MAX_DEPTH: Final = 32
"""Levels of maps and lists; no file of this project has ten."""
_MAX_DOTS: Final = 64
_SHOWN: Final = 60
_Value = TypeVar("_Value")


class MalformedError(Exception):
    """The text is not of its format; the message is the end of a sentence, without a period."""


def read_bytes(path: Path, most: int = MAX_FILE) -> bytes:
    """Return the bytes of a file of at most `most`.

    Raises:
        UsageError: FILE_UNREADABLE, or FILE_INVALID when it is longer; both name the file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        raise _unreadable(path, error) from error
    if len(data) > most:
        raise UsageError(f"{path} is longer than {most} bytes.", code=Code.FILE_INVALID)
    return data


def status(path: Path) -> os.stat_result | None:
    """Return the status of what is at a path, or None if nothing is.

    Since Python 3.14 `Path.exists` and similar methods treat every error as "missing", and `Path.glob` always did: a
    folder without permission would be skipped silently.

    Raises:
        UsageError: the system does not tell (FILE_UNREADABLE).
    """
    try:
        return os.stat(path)  # noqa: PTH116 - one place to look from
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def is_file(path: Path) -> bool:
    """Tell whether a file is at a path; raises UsageError as `status`."""
    found = status(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_folder(path: Path) -> bool:
    """Tell whether a folder is at a path; raises UsageError as `status`."""
    found = status(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def may_be_there(path: Path) -> bool:
    """Tell whether something is at a path; true as well if the system does not tell, since opening it then says why."""
    try:
        return status(path) is not None
    except UsageError:
        return True


def paths_in(folder: Path, pattern: str) -> list[Path]:
    """Return the sorted paths in a folder whose names match a pattern such as `*.json`; none if there is no folder.

    Raises:
        UsageError: the folder may not be read (FILE_UNREADABLE).
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names only
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error
    return [folder / name for name in sorted(names) if fnmatchcase(name, pattern)]


def read_text(path: Path, most: int = MAX_FILE) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark, its line ends made newlines.

    Raises:
        UsageError: as `read_bytes`, and FILE_INVALID when it is not text.
    """
    try:
        text = read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8.", code=Code.FILE_INVALID) from error
    return text.replace("\r\n", "\n")


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text; raises MalformedError."""
    import tomllib  # most files are not TOML, and programs that read none start sooner

    for number, line in enumerate(text.split("\n"), 1):
        # The parser keeps each beginning of a dotted key, which takes the square of its length in memory.
        if line.count(".") > _MAX_DOTS and not line.lstrip().startswith("#"):
            raise MalformedError(f"line {number} has more than {_MAX_DOTS} dots")
    return _parsed(lambda: tomllib.loads(text))


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text; raises MalformedError."""
    return _parsed(lambda: json.loads(text))


def _parsed(parse: Callable[[], _Value]) -> _Value:
    """Return the result of a parser, if it is not nested too deeply; raises MalformedError."""
    try:
        found = parse()
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise MalformedError(printable(str(error))) from error
    _require_shallow(found)
    return found


def shown(value: object) -> str:
    """Return a value from a file for a message: printable, and at most 60 characters of it."""
    text = printable(repr(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _unreadable(path: Path, error: OSError | ValueError) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"{path} cannot be read: {reason}.", code=Code.FILE_UNREADABLE)


def _require_shallow(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _members(each)]
        if not level:
            return
    raise _too_deep()


def _members(value: object) -> list[object]:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [member for member in members if isinstance(member, dict | list)]


def _too_deep() -> MalformedError:
    return MalformedError(f"it is nested deeper than {MAX_DEPTH} levels")
