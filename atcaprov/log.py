"""What any part needs of a log: three methods that Python's own loggers have too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class LogEvent(str):
    """A line of a log, for people, that also carries its parts for programs: a name, and fields such as `chip`.

    Any log takes it as the text that it is.
    """

    __slots__ = ("fields", "name")
    name: str
    fields: Mapping[str, str]


def log_event(name: str, text: str, **fields: str | bytes) -> LogEvent:
    """Return a line with its parts; bytes become capital hexadecimal digits, what is empty is left out."""
    event = LogEvent(text)
    event.name = name
    given = {key: value.hex().upper() if isinstance(value, bytes) else value for key, value in fields.items()}
    event.fields = {key: value for key, value in given.items() if value}
    return event


class Log(Protocol):
    """Takes lines; a `logging.Logger` is one. From any thread, without waiting for a disk."""

    def info(self, text: str, /) -> None:
        """Write a line about what happens."""

    def warning(self, text: str, /) -> None:
        """Write a line that someone should look at."""

    def error(self, text: str, /) -> None:
        """Write a line about something that failed."""
