"""Write bytes so that they are on the disk when a function returns, and files that are complete or missing.

All functions raise OSError, which callers translate: they know what the file is for and who has to act.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_COPIED: Final = 1 << 20
"""Bytes in memory while a file is copied."""


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the bytes to an open file, not yet durably."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_synced(descriptor: int, data: bytes) -> None:
    """Write all of the bytes to an open file and to the disk."""
    write_all(descriptor, data)
    os.fsync(descriptor)


def open_new(path: Path, data: bytes, mode: int) -> int:
    """Create a file that must not exist, with its first bytes and its name on the disk; return its descriptor."""
    descriptor = _written(path, data, mode)
    try:
        sync_folder(path.parent)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist; its name is on the disk after `sync_folder` only."""
    os.close(_written(path, data, mode))


def copy_new(source: Path, target: Path, mode: int) -> None:
    """Copy a file of any size to one that must not exist; its name is on the disk after `sync_folder` only."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with source.open("rb") as file:
            while part := file.read(_COPIED):
                write_all(descriptor, part)
        os.fsync(descriptor)
    except OSError:
        os.close(descriptor)
        target.unlink(missing_ok=True)
        raise
    os.close(descriptor)


def _anything() -> None:
    """Accept any file that is to be replaced."""


def replace(path: Path, data: bytes, mode: int, *, check: Callable[[], None] = _anything) -> os.stat_result:
    """Write a whole file: after a power cut there is the old file, none if there was none, or the new one.

    `check` is called just before the new file takes its place; if it raises, the old one stays. Returns the
    status of the new one. A power cut may leave `.NAME.new` beside it, which the next call overwrites. Raises
    OSError, also for a pipe or a device such as /dev/null, which no file may replace.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EEXIST, "it is a pipe or a device, not a file", str(path))
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        write_new(fresh, data, mode)
        status = fresh.stat()
        check()
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return status


def free_bytes(place: Path | int) -> int | None:
    """Return how much the disk of a file, a folder or an open file still takes; None if the system cannot tell.

    0 also if no further file can be created there.
    """
    if sys.platform == "win32":
        return shutil.disk_usage(place).free if isinstance(place, Path) else None
    disk = os.statvfs(place)
    if disk.f_files and not disk.f_favail:  # some file systems count no files: then f_files is 0
        return 0
    return disk.f_bavail * disk.f_frsize


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(path: Path, data: bytes, mode: int) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        write_synced(descriptor, data)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)  # half a file would stand in the way of the next try
        raise
    return descriptor
