"""Which processes use a device file or hold a lock, as Linux' /proc tells; a user sees only processes of its own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from atcaprov.terminal.printable import printable

_PROC: Final = Path("/proc")
_LOCK: Final = re.compile(
    r"\d+: \w+ +\w+ +\w+ +(?P<pid>\d+) +(?P<major>[0-9a-f]+):(?P<minor>[0-9a-f]+):(?P<inode>\d+) "
)
"""A line of /proc/locks: `1: FLOCK ADVISORY WRITE 1234 00:1a:567 0 EOF` (proc(5))."""


@dataclass(frozen=True)
class PortUser:
    """One process."""

    pid: int
    name: str
    """Name of its program, up to 15 characters (proc(5), comm)."""

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name})"


def lock_holders(path: Path, proc: Path = _PROC) -> list[PortUser]:
    """Return the other processes that hold a lock on a file; none where the system does not list them."""
    if sys.platform == "win32":
        return []
    try:
        found = path.stat()
        lines = (proc / "locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    matches = [match for match in map(_LOCK.match, lines) if match and int(match["inode"]) == found.st_ino]
    device = os.major(found.st_dev), os.minor(found.st_dev)
    exact = [match for match in matches if (int(match["major"], 16), int(match["minor"], 16)) == device]
    # Some file systems tell stat another device number than the kernel's list of locks.
    pids = {int(match["pid"]) for match in exact or matches}
    return _named(pids - {os.getpid()}, proc)


def other_users(path: Path, proc: Path = _PROC) -> list[PortUser]:
    """Return the other processes that have a device file open."""
    return _named({pid for pid in _pids(proc) if pid != os.getpid() and _has_open(proc / str(pid), path)}, proc)


def users_text(users: list[PortUser]) -> str:
    """Return the processes as part of a sentence; without any, "another program"."""
    return " and ".join(map(str, users)) or "another program"


def _named(pids: set[int], proc: Path) -> list[PortUser]:
    return [PortUser(pid, _name(proc / str(pid))) for pid in sorted(pids) if pid > 0]


def _name(process: Path) -> str:
    try:
        return printable((process / "comm").read_text(encoding="utf-8", errors="replace").strip())
    except OSError:
        return "unknown program"


def _pids(proc: Path) -> Iterator[int]:
    try:
        names = [entry.name for entry in proc.iterdir()]
    except OSError:
        return
    yield from (int(name) for name in names if name.isdecimal())


def _has_open(process: Path, path: Path) -> bool:
    try:
        return any(_target(entry) == str(path) for entry in (process / "fd").iterdir())
    except OSError:
        return False  # it has ended, or belongs to another user


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        return ""
