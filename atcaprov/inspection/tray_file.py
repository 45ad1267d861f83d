"""The file of a tray: one JSON object per line for each chip that was inspected, so that later runs know it.

First line: `{"format": "atcaprov tray", "version": 1}`. A line is on the disk before the result is shown. A damaged
line, as after a power cut, is left out and reported: the chip that it was for is not known then.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from atcaprov.bounded_reading import MalformedError, parse_json, read_bytes
from atcaprov.durable_files import open_new, write_synced
from atcaprov.errors import Code, UsageError
from atcaprov.file_lock import try_lock, unlock
from atcaprov.inspection.tray import Inspected, Seen

MAX_TRAY: Final = 64 << 20
"""Bytes, about 100,000 chips."""
_HEAD: Final = b'{"format": "atcaprov tray", "version": 1}\n'
_ANYONE_MAY_READ: Final = 0o644


class TrayFile:
    """A tray file, open for adding; one program at a time has it.

    `seen` are the chips of earlier runs, `damaged` the numbers of lines that could not be read, `records` how many
    records there are, damaged ones included.
    """

    def __init__(self, path: Path) -> None:
        """Open a tray file, or create it.

        Raises:
            UsageError: it is not a tray file or too long (FILE_INVALID), cannot be read (FILE_UNREADABLE), or cannot
                be written or is in use by another program (FILE_UNWRITABLE).
        """
        self._path = path
        self.seen: list[Seen] = []
        self.damaged: list[int] = []
        self.records = 0
        try:
            self._file = _opened(path)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._lock()
            self._load()
        except OSError as error:
            self.close()
            raise self._unwritable(error) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; closing twice does no harm."""
        file, self._file = self._file, -1
        if file >= 0:
            unlock(file)
            os.close(file)

    def add(self, found: Inspected) -> int:
        """Write what was found of one chip durably; return the number of its record, from 1.

        Raises:
            UsageError: the file cannot be written (FILE_UNWRITABLE).
        """
        record = self.records + 1
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"record": record, "at": at, **asdict(found), "public_keys": dict(found.public_keys)})
        try:
            write_synced(self._file, f"{line}\n".encode("ascii"))
        except OSError as error:
            raise self._unwritable(error) from error
        self.records = record
        return record

    def _lock(self) -> None:
        if not try_lock(self._file):
            raise UsageError(
                f"The tray file {self._path} is in use by another program.",
                advice="Wait until that program has ended, or name another file.",
                code=Code.FILE_UNWRITABLE,
            )

    def _load(self) -> None:
        content = read_bytes(self._path, MAX_TRAY)
        if _HEAD.startswith(content):  # new, or cut while it was created
            write_synced(self._file, _HEAD[len(content) :])
            return
        head, *lines = content.split(b"\n")
        if _parsed(head) != json.loads(_HEAD):
            raise UsageError(
                f"{self._path} is not a tray file, or of another version.",
                advice="Name a new file: it is created.",
                code=Code.FILE_INVALID,
            )
        if lines and not lines[-1]:
            lines.pop()
        else:
            write_synced(self._file, b"\n")  # so that the next record has a line of its own
        self.records = len(lines)
        for number, line in enumerate(lines, 1):
            self._take(number, line)

    def _take(self, number: int, line: bytes) -> None:
        try:
            self.seen.append(_seen(number, _parsed(line)))
        except (KeyError, TypeError, ValueError, AttributeError):
            self.damaged.append(number + 1)

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(
            f"The tray file {self._path} cannot be written: {error.strerror}.",
            advice="Check its folder, its permissions and the free space of the disk.",
            code=Code.FILE_UNWRITABLE,
        )


def _opened(path: Path) -> int:
    with suppress(FileExistsError):
        os.close(open_new(path, _HEAD, _ANYONE_MAY_READ))  # a full disk leaves no file behind
    return os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))


def _parsed(line: bytes) -> Any:
    try:
        return parse_json(line.decode("ascii"))
    except (MalformedError, UnicodeDecodeError):
        return None


def _seen(number: int, document: Any) -> Seen:
    """Return the chip of a record; raises KeyError, TypeError, ValueError or AttributeError for a damaged one."""
    serial = document["serial_number"]
    keys = list(document["public_keys"].values())
    if document["record"] != number or not all(_is_hex(text) for text in [serial, *keys]):
        raise ValueError
    return Seen(number, serial, frozenset(keys))


def _is_hex(text: object) -> bool:
    return isinstance(text, str) and bytes.fromhex(text).hex().upper() == text
