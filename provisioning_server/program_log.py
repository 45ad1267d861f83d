"""The program log: the lines of the guide, `[2015-11-06 15:51:07, info] text`, in a file and on the console."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final, TextIO

from atcaprov.program.json_log import JsonLineFormatter
from atcaprov.program.log_output import LineFormatter, handled_by
from provisioning_server.log_writer import LogEntry, LogWriter

_NAME: Final = "program"
_FILE_ONLY: Final = "file_only"


class ProgramLog:
    """Writes to `file` and `console`; either may be None.

    Without `level` it has the server's own lines. With it, the console has lines of this level and above, the file has
    all lines of the server, and both have what the library logs at this level and above.
    """

    def __init__(
        self,
        file: TextIO | None,
        console: TextIO | None,
        now: Callable[[], datetime] = datetime.now,
        level: int | None = None,
        *,
        as_json: bool = False,
    ) -> None:
        """With `as_json` the console has a JSON object on each line; the file has the lines of the guide, always."""
        formatter = LineFormatter(now)
        self._console_format = JsonLineFormatter(now) if as_json else formatter
        self._as_json = as_json
        self._writer = LogWriter(file, console, formatter.line, self._console_format.line)
        handler = _WriterHandler(self._writer, logging.INFO if level is None else level, self._console_format)
        handler.setFormatter(formatter)
        self._logger = logging.Logger(_NAME, logging.INFO)  # of this log alone: two servers in a process stay apart
        self._logger.addHandler(handler)
        self._library = contextlib.ExitStack()
        if level is not None:
            self._library.enter_context(handled_by(handler, level))

    def info(self, text: str, /) -> None:
        """Log what happens."""
        self._logger.info(text)

    def warning(self, text: str, /) -> None:
        """Log what someone should look at."""
        self._logger.warning(text)

    def error(self, text: str, /) -> None:
        """Log what failed."""
        self._logger.error(text)

    def last_words(self, text: str) -> None:
        """Log to the file only why the program ends; on the console the program's end itself tells it."""
        self._logger.error(text, extra={_FILE_ONLY: True})

    def say(self, text: str) -> None:
        """Write a line to the console only, without a time."""
        shown = self._console_format.line("info", text) if self._as_json else text
        self._writer.put(LogEntry(f"{shown}\n", in_file=False))

    def ask(self, prompt: str) -> None:
        """Show a prompt on the console; lines that come meanwhile are written above it."""
        self._writer.put(LogEntry("", in_file=False, prompt=prompt))

    def answered(self) -> None:
        """End the line of the prompt."""
        self._writer.put(LogEntry("", in_file=False, prompt=""))

    def reopen(self) -> None:
        """Go on in a new file at the path of the log, if a program that rotates logs has renamed the old one."""
        self._writer.reopen()

    def close(self) -> None:
        """Write what waits and stop."""
        self._library.close()
        self._writer.close()


class _WriterHandler(logging.Handler):
    """Gives records as lines to the writer: all to the file, those of the console's level to the console."""

    def __init__(self, writer: LogWriter, console_level: int, console_format: logging.Formatter) -> None:
        super().__init__()
        self._writer = writer
        self._console_level = console_level
        self._console_format = console_format

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on one line."""
        on_console = record.levelno >= self._console_level and not hasattr(record, _FILE_ONLY)
        console_text = f"{self._console_format.format(record)}\n" if on_console else None
        self._writer.put(LogEntry(f"{self.format(record)}\n", on_console=on_console, console_text=console_text))
