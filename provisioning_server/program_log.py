"""The program log: the lines of the guide, `[2015-11-06 15:51:07, info] text`, in a file and on the console.

One thread writes, so nobody who logs waits for a disk or for a console that somebody has stopped. A prompt that waits
for its answer stays the last line of the console.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple, TextIO

from atcaprov.terminal.printable import printable

WAITING_MAX: Final = 100_000
"""Lines that may wait for the writer; further ones are dropped and counted."""
_BATCH_MAX: Final = 1000
_TO_SECONDS: Final = len("2015-11-06 15:51:07")


class _Entry(NamedTuple):
    """Text for the console, for the file or for both; a `prompt` opens one, "" closes it, None leaves it."""

    text: str
    in_file: bool = True
    on_console: bool = True
    prompt: str | None = None


class ProgramLog:
    """Writes to `file` and `console`; either may be None. Both are flushed, neither is closed."""

    def __init__(self, file: TextIO | None, console: TextIO | None, now: Callable[[], datetime] = datetime.now) -> None:
        self._file = file
        self._console = console
        self._now = now
        self._prompt = ""
        self._prompt_shown = False
        self._dropped = 0
        self._waiting: queue.Queue[_Entry | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._write_all, name="program log", daemon=True)
        self._thread.start()

    def info(self, text: str) -> None:
        """Log what happens."""
        self._line("info", text)

    def warning(self, text: str) -> None:
        """Log what somebody should look at."""
        self._line("warning", text)

    def error(self, text: str) -> None:
        """Log a fault of the server."""
        self._line("error", text)

    def last_words(self, text: str) -> None:
        """Log to the file only why the program ends; the console hears it from the program's end itself."""
        self._line("error", text, on_console=False)

    def say(self, text: str) -> None:
        """Write a line to the console only, without a time."""
        self._put(_Entry(f"{text}\n", in_file=False))

    def ask(self, prompt: str) -> None:
        """Show a prompt on the console; lines that come meanwhile are written above it."""
        self._put(_Entry("", in_file=False, prompt=prompt))

    def answered(self) -> None:
        """End the line of the prompt."""
        self._put(_Entry("", in_file=False, prompt=""))

    def close(self) -> None:
        """Write what waits and stop."""
        self._waiting.put(None)
        self._thread.join()

    def _line(self, level: str, text: str, *, on_console: bool = True) -> None:
        self._put(self._entry(level, text, on_console=on_console))

    def _entry(self, level: str, text: str, *, on_console: bool = True) -> _Entry:
        now = self._now().isoformat(" ")[:_TO_SECONDS]
        return _Entry(f"[{now}, {level}] {printable(text)}\n", on_console=on_console)

    def _put(self, entry: _Entry) -> None:
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

    def _write(self, entries: list[_Entry]) -> None:
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            entries.append(
                self._entry("warning", f"{dropped} lines were dropped: the console or the disk is too slow.")
            )
        file = _written(self._file, "".join(entry.text for entry in entries if entry.in_file))
        if file is not self._file:
            self._file = file
            entries.append(self._entry("error", "The program log cannot be written any more: is its disk full?"))
        self._console = _written(self._console, self._console_text([entry for entry in entries if entry.on_console]))

    def _console_text(self, entries: list[_Entry]) -> str:
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
    """Write and flush; a stream that fails is given up, the server is not. Return the stream to go on with."""
    if stream is None or not text:
        return stream
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        return None
    return stream
