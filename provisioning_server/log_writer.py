"""The thread that writes the program log, so that logging never waits for a disk or for a stopped console.

A prompt that waits for its answer stays the last line of the console.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TextIO

WAITING_MAX: Final = 100_000
"""Entries that may wait for the thread; further ones are dropped and counted."""
_BATCH_MAX: Final = 1000
_REOPEN: Final = "reopen"


class LogEntry(NamedTuple):
    """Text for the console, for the file or for both; a `prompt` opens one, "" closes it, None leaves it.

    `console_text` takes the place of the text on the console.
    """

    text: str
    in_file: bool = True
    on_console: bool = True
    prompt: str | None = None
    console_text: str | None = None


class LogWriter:
    """Writes to `file` and `console`; either may be None. Both are flushed, neither is closed."""

    def __init__(
        self,
        file: TextIO | None,
        console: TextIO | None,
        line: Callable[[str, str], str],
        console_line: Callable[[str, str], str] | None = None,
    ) -> None:
        """`line` makes a line of the log out of a level and a text, for the writer's own messages."""
        self._file = file
        self._console = console
        self._line = line
        self._console_line = console_line or line
        self._prompt = ""
        self._prompt_shown = False
        self._dropped = 0
        self._path = Path(file.name) if file is not None and isinstance(getattr(file, "name", None), str) else None
        self._waiting: queue.Queue[LogEntry | str | None] = queue.Queue(WAITING_MAX)
        self._own_file: TextIO | None = None
        """One that was opened here, and is closed here."""
        self._thread = threading.Thread(target=self._write_all, name="program log", daemon=True)
        self._thread.start()

    def reopen(self) -> None:
        """Write to a new file at the path of the log, if the one that is written to is not there any more.

        So a program that rotates logs may rename it. If none can be made, the renamed one is written on.
        """
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(_REOPEN)

    def close(self) -> None:
        """Write what waits and stop."""
        self._waiting.put(None)
        self._thread.join()

    def put(self, entry: LogEntry) -> None:
        """Hand an entry to the writing thread; it is dropped if too many wait."""
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            self._dropped += 1

    def _write_all(self) -> None:
        more = True
        while more:
            entries = [self._waiting.get()]
            while len(entries) < _BATCH_MAX and not self._waiting.empty():
                entries.append(self._waiting.get())
            more = None not in entries
            self._write([entry for entry in entries if isinstance(entry, LogEntry)])
            if _REOPEN in entries:
                self._reopen()
        if self._own_file is not None:
            self._own_file.close()

    def _reopen(self) -> None:
        if self._path is None or (self._file is not None and _is_at(self._file, self._path)):
            return
        with contextlib.suppress(OSError):
            fresh = self._path.open("a", encoding="utf-8")
            if self._own_file is not None:
                self._own_file.close()
            self._file = self._own_file = fresh

    def _write(self, entries: list[LogEntry]) -> None:
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            entries.append(
                self._own_line("warning", f"{dropped} lines were dropped: the console or the disk is too slow.")
            )
        file = _written(self._file, "".join(entry.text for entry in entries if entry.in_file))
        if file is not self._file:
            self._file = file
            entries.append(
                self._own_line("error", "The program log can no longer be written. Check whether its disk is full.")
            )
        self._console = _written(self._console, self._console_text([entry for entry in entries if entry.on_console]))

    def _own_line(self, level: str, text: str) -> LogEntry:
        return LogEntry(f"{self._line(level, text)}\n", console_text=f"{self._console_line(level, text)}\n")

    def _console_text(self, entries: list[LogEntry]) -> str:
        pieces = []
        for entry in entries:
            if entry.prompt:
                self._prompt = entry.prompt
                continue
            if self._prompt_shown:
                pieces.append("\n")
                self._prompt_shown = False
            if entry.prompt is None:
                pieces.append(entry.text if entry.console_text is None else entry.console_text)
            else:
                self._prompt = ""
        if self._prompt and not self._prompt_shown:
            pieces.append(self._prompt)
            self._prompt_shown = True
        return "".join(pieces)


def _written(stream: TextIO | None, text: str) -> TextIO | None:
    """Write and flush; a stream that fails is given up, and the server continues. Return the stream to use next."""
    if stream is None or not text:
        return stream
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        return None
    return stream


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (OSError, ValueError):
        return False
