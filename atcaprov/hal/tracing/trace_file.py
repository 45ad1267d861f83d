"""Traces: what went to a chip and came back, one JSON object a line.

The first line is `{"format": "atcaprov trace", "version": 1, "device": URL}`. Each line after it is one call of a HAL:

    {"at": 0.000412, "do": "wake"}
    {"at": 0.001130, "do": "exchange", "sent": "0730000000035d", "got": "07000060028038", "took": 0.003216}
    {"at": 0.004500, "do": "exchange", "sent": "0730000000035d", "error": "device-no-reply", "took": 2.5}

The last line is `{"end": "complete"}`, or `{"end": "incomplete"}` where the file could not take all. A file without it
was cut.

`at` and `took` are seconds. Packets are hexadecimal, count to CRC, no word address. A byte that could belong to a
secret is written as `..` unless the trace was made as a recording; `atcaprov.hal.tracing.masking` says which bytes
these are.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from atcaprov.bounded_reading import MalformedError, parse_json, read_text, shown
from atcaprov.errors import Code, UsageError

MAX_TRACE: Final = 1 << 28
"""Bytes; a run makes some 20,000."""
FORMAT: Final = "atcaprov trace"
VERSION: Final = 1
CALLS: Final = frozenset({"wake", "idle", "sleep", "exchange"})
_PACKET: Final = re.compile(r"(?:[0-9a-f]{2}|\.\.)*")
_COMPLETE: Final = "complete"
_INCOMPLETE: Final = "incomplete"
_LONGEST_SECONDS: Final = 1e9
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One call: `do` is wake, idle, sleep or exchange; `sent` and `got` are hexadecimal, with `..` for masked bytes."""

    do: str
    sent: str = ""
    got: str = ""
    error: str = ""
    """Code of the error that the call ended with."""
    at: float = 0.0
    took: float = 0.0

    def to_line(self) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {"at": round(self.at, 6), "do": self.do}
        line.update({name: value for name in ("sent", "got", "error") if (value := getattr(self, name))})
        if self.do == "exchange":
            line["took"] = round(self.took, 6)
        return json.dumps(line)


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace as read: the device's URL and its calls in order."""

    device: str
    events: tuple[TraceEvent, ...]
    complete: bool = False
    """It was written to its end, with nothing left out."""


class TraceWriter:
    """Writes a trace line by line; each line is out before the next call, so that a crash costs at most one.

    `path` is the file's own, None for one without a name.
    """

    def __init__(self, file: TextIO, device: str, path: Path | None = None) -> None:
        self._file = file
        self._path = path
        self._written = 0
        """Bytes of the whole lines that are out."""
        self._write(json.dumps({"format": FORMAT, "version": VERSION, "device": device}))

    def add(self, event: TraceEvent) -> None:
        """Append one call."""
        self._write(event.to_line())

    def close(self) -> None:
        """Write the end and close the file; closing twice does no harm."""
        if not self._file.closed:
            try:
                self._write(_end(_COMPLETE))
            finally:
                self._file.close()

    def give_up(self) -> None:
        """Close a file that cannot be written: remove a partial line, mark the end `incomplete` if there is room."""
        with suppress(OSError):
            self._file.close()
        if self._path is not None and self._path.is_file():
            with suppress(OSError):
                os.truncate(self._path, self._written)
                end = f"{_end(_INCOMPLETE)}\n".encode()
                with self._path.open("ab", buffering=0) as file:
                    if file.write(end) < len(end):
                        file.truncate(self._written)

    def _write(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise _unwritable(str(self._path or "of this chip"), error) from error
        self._written += len(line) + 1


def create_trace(path: Path, device: str) -> TraceWriter:
    """Open a new trace file, readable by its owner only; a file that is there is replaced.

    Raises:
        UsageError: the file cannot be written (FILE_UNWRITABLE).
    """
    try:
        descriptor = _emptied(path)
    except OSError as error:
        raise _unwritable(str(path), error) from error
    file = os.fdopen(descriptor, "w", encoding="ascii", newline="\n")
    try:
        return TraceWriter(file, device, path)
    except UsageError:
        with suppress(OSError):
            file.close()
        if path.is_file():  # not a pipe or a device; half a first line would be no trace
            with suppress(OSError):
                path.unlink()
        raise


def _emptied(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), _OWNER_ONLY)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, _OWNER_ONLY)  # one that was there may have been open to others
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_trace(path: Path) -> Trace:
    """Read a trace file; a last line without its end, as a crash leaves it, is left out.

    Raises:
        UsageError: the file cannot be read (FILE_UNREADABLE) or is not a valid trace (FILE_INVALID, with its line).
    """
    return parse_trace(read_text(path, MAX_TRACE), name=str(path))


def parse_trace(text: str, *, name: str = "trace") -> Trace:
    """Return the trace in `text`; `name` names it in errors.

    Raises:
        UsageError: it is not a valid trace (FILE_INVALID, with its line).
    """
    whole = text[: text.rfind("\n") + 1]
    lines = [(number, line) for number, line in enumerate(whole.splitlines(), 1) if line.strip()]
    if not lines:
        raise _invalid(name, 1, "it is empty")
    head = _object(name, *lines[0])
    if head.get("format") != FORMAT:
        raise _invalid(name, lines[0][0], "it is not a trace")
    if head.get("version") != VERSION:
        raise _invalid(name, lines[0][0], f"its version is {shown(head.get('version'))}, not {VERSION}")
    end = _object(name, *lines[-1]).get("end") if len(lines) > 1 else None
    calls = lines[1:] if end is None else lines[1:-1]
    return Trace(str(head.get("device", "")), tuple(_events(name, calls)), complete=end == _COMPLETE)


def _events(name: str, lines: Iterable[tuple[int, str]]) -> Iterator[TraceEvent]:
    for number, line in lines:
        members = _object(name, number, line)
        try:
            yield _event(members)
        except (TypeError, ValueError) as error:
            raise _invalid(name, number, str(error)) from None


def _event(members: dict[str, Any]) -> TraceEvent:
    do = members.get("do")
    if do not in CALLS:
        raise ValueError(f"'do' is {shown(do)}")
    texts = {key: members.get(key, "") for key in ("sent", "got", "error")}
    numbers = {key: members.get(key, 0.0) for key in ("at", "took")}
    if not all(isinstance(value, str) for value in texts.values()):
        raise ValueError("'sent', 'got' and 'error' must be strings")
    if not all(isinstance(value, int | float) and 0 <= value <= _LONGEST_SECONDS for value in numbers.values()):
        raise ValueError("'at' and 'took' must be numbers of seconds")
    for key in ("sent", "got"):
        if not _PACKET.fullmatch(texts[key]):
            raise ValueError(f"'{key}' is not hexadecimal")
    if (do == "exchange") != bool(texts["sent"]):
        raise ValueError("only 'exchange' has a packet, and it needs one")
    return TraceEvent(do, **texts, **numbers)


def _object(name: str, number: int, line: str) -> dict[str, Any]:
    try:
        found = parse_json(line)
    except MalformedError:
        raise _invalid(name, number, "it is not JSON") from None
    if not isinstance(found, dict):
        raise _invalid(name, number, "it is not a JSON object")
    return found


def _end(how: str) -> str:
    return json.dumps({"end": how})


def _unwritable(name: str, error: OSError) -> UsageError:
    return UsageError(f"The trace file {name} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE)


def _invalid(name: str, number: int, reason: str) -> UsageError:
    return UsageError(f"{name}, line {number}: {reason}.", code=Code.FILE_INVALID)
