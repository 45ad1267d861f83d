"""The names of the units for a batch: from a file, one a line, each for one chip, over restarts and power cuts.

    FILE         the names, in the order in which boards get them; it is only read
    FILE.used    NAME, a tab and the chip's serial number: one line for each name that a chip has

A name is a chip's from the moment before the server is asked for its certificate, and is on the disk by then: whatever
happens afterwards, no other chip gets it, and the chip gets it again. A board that fails before that leaves the name to
the next one. So a run that is cut at any point neither skips a name nor gives it to two chips.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from atcaprov import durable_files
from atcaprov.bounded_reading import is_file, read_bytes, read_text
from atcaprov.certs.unit_rule import LONGEST_UNIT
from atcaprov.chip.memory_map import SERIAL_SIZE
from atcaprov.errors import Board, Code, UsageError
from atcaprov.file_lock import try_lock
from atcaprov.terminal.printable import printable

USED: Final = ".used"
MAX_NAMES: Final = 1_000_000
_MAX_FILE: Final = 128 << 20
_MODE: Final = 0o644


class UnitNames:
    """The names of a file, and which chips have them. One program at a time may use a file."""

    def __init__(self, path: Path, names: Sequence[str], used: dict[str, bytes], descriptor: int | None = None) -> None:
        """`descriptor` is the locked file of used names, behind its last whole line; None only to look."""
        self._path = path
        self._free = [name for name in reversed(names) if name not in used]
        self._descriptor = descriptor
        self._size = 0 if descriptor is None else os.lseek(descriptor, 0, os.SEEK_CUR)
        self._name_of = {chip: name for name, chip in used.items()}
        self._given: tuple[bytes, str] | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a file of names, and lock and read the one of used names beside it, which is made if there is none.

        Raises:
            UsageError: a file cannot be read or written, has a line that is not as it must be (FILE_INVALID), or is in
                use by another program (UNITS_IN_USE).
        """
        names = _names(path)
        beside = path.with_name(path.name + USED)
        try:
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), _MODE)
            if not try_lock(descriptor):
                os.close(descriptor)
                raise _in_use(beside)
            durable_files.sync_folder(beside.parent)
        except OSError as error:
            raise _unwritable(beside, error) from error
        try:
            return cls(path, names, _used(beside, _without_torn_line(descriptor)), descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of names and which of them are used, only to look; raises UsageError, FILE_INVALID and others."""
        beside = path.with_name(path.name + USED)
        content = read_bytes(beside, _MAX_FILE) if is_file(beside) else b""
        return cls(path, _names(path), _used(beside, content[: content.rfind(b"\n") + 1]))

    def close(self) -> None:
        """Release the file for other programs."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    @property
    def left(self) -> int:
        """How many names no chip has."""
        return len(self._free)

    def name_for(self, chip_serial: bytes) -> str:
        """Return the name that a chip (9 bytes) has, or the next one; it is the chip's as soon as it is `kept`.

        Raises:
            UsageError: each name has its chip (UNITS_USED_UP).
        """
        name = self._name_of.get(chip_serial)
        if name is None:
            if not self._free:
                raise UsageError(
                    f"Each name in {self._path} has its chip.",
                    advice="No chip was touched. Add names to the file, or begin another one.",
                    code=Code.UNITS_USED_UP,
                    board=Board.UNTOUCHED,
                )
            name = self._free[-1]
        self._given = chip_serial, name
        return name

    def keep(self) -> None:
        """Write down whose the name that was given last is; when this returns it is on the disk.

        Raises:
            UsageError: it cannot be written (FILE_UNWRITABLE). The board can be started again.
        """
        if self._given is None or self._given[0] in self._name_of or self._descriptor is None:
            return
        chip, name = self._given
        line = f"{name}\t{chip.hex().upper()}\n".encode()
        try:
            os.ftruncate(self._descriptor, self._size)  # a write before may have failed halfway
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            durable_files.write_synced(self._descriptor, line)
        except OSError as error:
            raise _unwritable(self._path.with_name(self._path.name + USED), error, Board.RETRY) from error
        self._size += len(line)
        self._free.pop()
        self._name_of[chip] = name


def _names(path: Path) -> list[str]:
    """Return the names of a file; empty lines are none."""
    found: dict[str, int] = {}
    for number, line in enumerate(read_text(path, _MAX_FILE).split("\n"), 1):
        name = line.strip(" \t")
        if not name:
            continue
        if not (name.isascii() and name.isprintable()) or " " in name or len(name) > LONGEST_UNIT:
            raise _line(path, number, f"must be one name of at most {LONGEST_UNIT} printable ASCII characters")
        if name in found:
            raise _line(path, number, f"has the name of line {found[name]}, '{name}', again")
        found[name] = number
        if len(found) > MAX_NAMES:
            raise _line(path, number, f"has a name too many; {MAX_NAMES:,} are possible")
    return list(found)


def _without_torn_line(descriptor: int) -> bytes:
    """Return the content of a file, and cut off a line that is not whole: it was not in force yet."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        content = file.read(_MAX_FILE)
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)
    os.lseek(descriptor, whole, os.SEEK_SET)
    return content[:whole]


def _used(path: Path, content: bytes) -> dict[str, bytes]:
    """Return which chip has which name."""
    used: dict[str, bytes] = {}
    chips: set[bytes] = set()
    for number, line in enumerate(content.splitlines(), 1):
        name, _, digits = line.decode("utf-8", "replace").partition("\t")
        chip = _chip(digits)
        if chip is None or not name or name in used or chip in chips:
            raise _line(path, number, "must be a name, a tab and the serial number of a chip, each of them once")
        used[name] = chip
        chips.add(chip)
    return used


def _chip(digits: str) -> bytes | None:
    try:
        chip = bytes.fromhex(digits)
    except ValueError:
        return None
    return chip if len(chip) == SERIAL_SIZE else None


def _line(path: Path, number: int, rule: str) -> UsageError:
    return UsageError(f"Line {number} of {path} {printable(rule)}.", code=Code.FILE_INVALID)


def _in_use(path: Path) -> UsageError:
    return UsageError(
        f"{path} is in use by another program.",
        advice="Give each station a file of names of its own, or end the other client.",
        code=Code.UNITS_IN_USE,
    )


def _unwritable(path: Path, error: OSError, board: Board = Board.UNTOUCHED) -> UsageError:
    return UsageError(f"{path} cannot be written: {error.strerror or error}.", code=Code.FILE_UNWRITABLE, board=board)
