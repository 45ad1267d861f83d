"""The thread that writes the program log, so that logging never waits for a disk or for a stopped console.

A prompt that waits for its answer stays the last line of the console.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final, NamedTuple, TextIO

WAITING_MAX: Final = 100_000
"""Entries that may wait for the thread; further ones are dropped and counted."""
_BATCH_MAX: Final = 1000


class LogEntry(NamedTuple):
    """Text for the console, for the file or for both; a `prompt` opens one, "" closes it, None leaves it."""

    text: str
    in_file: bool = True
    on_console: bool = True
    prompt: str | None = None


class LogWriter:
    """Writes to `file` and `console`; either may be None. Both are flushed, neither is closed."""

    def __init__(self, file: TextIO | None, console: TextIO | None, line: Callable[[str, str], str]) -> None:
        """`line` makes a line of the log out of a level and a text, for the writer's own messages."""
        self._file = file
        self._console = console
        self._line = line
        self._prompt = ""
        self._prompt_shown = False
        self._dropped = 0
        self._waiting: queue.Queue[LogEntry | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._write_all, name="program log", daemon=True)
        self._thread.start()

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
            self._write([entry for entry in entries if entry is not None])

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
        return LogEntry(f"{self._line(level, text)}\n")

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
                pieces.append(entry.text)
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
