"""Where the log of a program goes: which records of Python's `logging` are shown, as what lines, with secrets masked.

Modules of the library log to `logging.getLogger(__name__)`: at level info what a person at a station follows (a device
URL opened, a stage, a connection), at level debug each step of it (commands by name with their status, messages). They
log no data of a command or reply. A line that still carries some is masked here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

from atcaprov.program.console_text import say
from atcaprov.terminal.printable import printable

PACKAGES: Final = ("atcaprov", "provisioning_client", "provisioning_server", "signer_module")
"""The loggers above all loggers of this project; those of other projects are left alone."""
MASK: Final = ".."
_TO_SECONDS: Final = len("2015-11-06 15:51:07")
_NAMED_SECRET: Final = re.compile(r"(?i)\b(passw\w*|passphrase|pass|pin-value|pin|secret|token)(\s*[=:]\s*)[^\s&;,]+")
_LONG_HEX: Final = re.compile(r"\b[0-9A-Fa-f]{2}(?:[ :]?[0-9A-Fa-f]{2}){15,}\b")
"""16 bytes or more: keys and digests. A chip's serial number has 9."""


class LineFormatter(logging.Formatter):
    """The lines of the guide, `[2015-11-06 15:51:07, info] text`; the library's begin with the name of their logger.

    Nothing in a line commands a terminal, tracebacks are left out, and the library's lines are masked.
    """

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        """Without `now`, lines carry the local time of their record."""
        super().__init__()
        self._now = now

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        text = record.getMessage()
        if is_of_library(record):
            text = f"{record.name}: {masked(text)}"
        return self.line(record.levelname.lower(), text, datetime.fromtimestamp(record.created))

    def line(self, level: str, text: str, when: datetime | None = None) -> str:
        """Return a line of the log without its end; `now` of this formatter counts more than `when`."""
        when = self._now() if self._now is not None else when or datetime.now()
        return f"[{when.isoformat(' ')[:_TO_SECONDS]}, {level}] {printable(text)}"


class BytesMask(logging.Filter):
    """Replaces each argument of a record that is bytes by its length: no line shows bytes, of any logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if isinstance(record.args, tuple):
            record.args = tuple(_without_bytes(each) for each in record.args)
        return True


@contextmanager
def handled_by(handler: logging.Handler, level: int) -> Iterator[None]:
    """Give what the packages of this project log at `level` and above to `handler`."""
    handler.addFilter(BytesMask())
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(old)


@contextmanager
def logged_on_stderr(level: int | None) -> Iterator[None]:
    """Print what the packages of this project log at `level` (None: warning) and above on standard error."""
    handler = StderrHandler()
    handler.setFormatter(LineFormatter())
    with handled_by(handler, logging.WARNING if level is None else level):
        yield


class StderrHandler(logging.Handler):
    """Prints lines on standard error; one that cannot be written ends no program."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        with suppress(OSError, ValueError):
            say(self.format(record), err=True)


def is_of_library(record: logging.LogRecord) -> bool:
    """Tell whether a module of a package logged it, and not the program itself."""
    return record.name.partition(".")[0] in PACKAGES


def masked(text: str) -> str:
    """Return the text with `..` for values named as secrets and for 16 or more bytes in hexadecimal."""
    return _LONG_HEX.sub(MASK, _NAMED_SECRET.sub(rf"\1\2{MASK}", text))


def _without_bytes(value: object) -> object:
    return f"({len(value)} bytes)" if isinstance(value, bytes | bytearray | memoryview) else value
