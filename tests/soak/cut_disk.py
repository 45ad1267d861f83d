"""The disk of a power cut as files of this machine: made by mkfs, repaired and read by e2fsprogs, never mounted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from virtual_bench.programs import program, run

_SIZE: Final = 48 * 1024 * 1024
_JOURNAL_MIB: Final = 4
_REPAIRED: Final = 1
"""Exit codes of e2fsck up to this one: the file system is good now (e2fsck(8))."""


def empty_disk(folder: Path) -> bytes:
    """Return an empty ext4 file system with a small journal, which is soon used again from its start."""
    image = folder / "empty"
    with image.open("wb") as file:
        file.truncate(_SIZE)
    options = ("-b", "4096", "-J", f"size={_JOURNAL_MIB}", "-E", "lazy_itable_init=0,lazy_journal_init=0")
    run(program("mkfs.ext4"), "-q", *options, str(image))
    content = image.read_bytes()
    image.unlink()
    return content


def files_of(image: bytes, name: str, folder: Path) -> Path:
    """Take a folder off a disk after a cut: replay its journal, check it, and copy the folder out.

    Raises:
        AssertionError: the file system cannot be repaired without losing something.
    """
    disk = folder / "disk"
    disk.write_bytes(image)
    checked = subprocess.run(
        [program("e2fsck"), "-f", "-p", str(disk)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode <= _REPAIRED, f"the file system is damaged: {checked.stdout}{checked.stderr}"
    run(program("debugfs"), "-R", f"rdump /{name} {folder}", str(disk))
    disk.unlink()
    return folder / name
