"""What any part needs of a log: three methods that Python's own loggers have too."""

from __future__ import annotations

from typing import Protocol


class Log(Protocol):
    """Takes lines; a `logging.Logger` is one. From any thread, without waiting for a disk."""

    def info(self, text: str, /) -> None:
        """Write a line about what happens."""

    def warning(self, text: str, /) -> None:
        """Write a line that someone should look at."""

    def error(self, text: str, /) -> None:
        """Write a line about something that failed."""
