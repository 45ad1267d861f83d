"""Bytes that are on the disk when a function returns. All of it raises OSError."""

from __future__ import annotations

import os
from pathlib import Path


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the bytes to an open file, not yet durably."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_synced(descriptor: int, data: bytes) -> None:
    """Write all of the bytes to an open file and have them on the disk."""
    write_all(descriptor, data)
    os.fsync(descriptor)


def create_synced(path: Path, data: bytes) -> int:
    """Create a file that must not exist, with its first bytes and its name on the disk; return its descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o640)
    try:
        write_synced(descriptor, data)
        _sync_folder(path.parent)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def replace_synced(path: Path, data: bytes) -> None:
    """Write a whole file: after a cut there is the old one or the new one."""
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)
    os.close(create_synced(temporary, data))
    temporary.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
