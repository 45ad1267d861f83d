"""Locks of one program on an open file, on every system."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov.file_lock import try_lock, unlock

TRY = "import os, sys; from atcaprov.file_lock import try_lock; print(try_lock(os.open(sys.argv[1], os.O_RDWR)))"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(b"contents")
    descriptor = os.open(tmp_path / "file", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def another_program_gets_it(path: Path) -> bool:
    done = subprocess.run([sys.executable, "-c", TRY, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip() == "True"


def test_another_program_gets_it_afterwards_only(opened: int, tmp_path: Path) -> None:
    assert try_lock(opened)
    assert not another_program_gets_it(tmp_path / "file")
    unlock(opened)
    assert another_program_gets_it(tmp_path / "file")


def test_another_opening_of_the_file_is_another_holder(opened: int, tmp_path: Path) -> None:
    other = os.open(tmp_path / "file", os.O_RDWR)
    assert try_lock(opened)
    assert not try_lock(other)
    unlock(opened)
    assert try_lock(other)
    os.close(other)


def test_a_locked_file_can_still_be_read_written_and_cut(opened: int, tmp_path: Path) -> None:
    os.lseek(opened, 3, os.SEEK_SET)
    assert try_lock(opened)
    assert os.read(opened, 5) == b"tents"
    with (tmp_path / "file").open("r+b") as file:
        file.truncate(2)
        file.seek(0, os.SEEK_END)
        file.write(b"mpany")
    assert (tmp_path / "file").read_bytes() == b"company"


def test_closing_gives_it_back(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    first = os.open(tmp_path / "file", os.O_RDWR)
    assert try_lock(first)
    os.close(first)
    assert another_program_gets_it(tmp_path / "file")
