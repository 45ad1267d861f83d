"""Processes that use a file or hold a lock on it, as /proc tells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov.hal.port_users import PortUser, lock_holders, other_users, users_text

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
HOLD = """
import fcntl, sys
file = open(sys.argv[1], "rb")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "port"
    path.touch()
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield path, holder.pid
        holder.kill()


def test_other_process_is_found_by_its_open_file_and_its_lock(held: tuple[Path, int]) -> None:
    path, pid = held
    assert [user.pid for user in other_users(path)] == [pid]
    assert [user.pid for user in lock_holders(path)] == [pid]
    assert users_text(other_users(path)).startswith(f"process {pid} (python")


def test_this_process_is_no_other_user(tmp_path: Path) -> None:
    path = tmp_path / "port"
    with path.open("wb"):
        assert other_users(path) == []
    assert lock_holders(path) == lock_holders(tmp_path / "missing") == []
    assert users_text([]) == "another program"


def lock_line(path: Path, pid: int, *, device: str = "") -> str:
    found = path.stat()
    device = device or f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    return f"1: FLOCK  ADVISORY  WRITE {pid} {device}:{found.st_ino} 0 EOF\n"


def fake_proc(folder: Path, locks: str, **names: str) -> Path:
    (folder / "locks").write_text(locks)
    for pid, name in names.items():
        (folder / pid[1:]).mkdir()
        (folder / pid[1:] / "comm").write_text(name)
    return folder


def test_lock_on_another_file_system_with_the_same_inode_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.touch()
    lines = lock_line(path, 11, device="ff:ff") + lock_line(path, 12)
    proc = fake_proc(tmp_path, lines, _12="client\x1b[31m\n")
    assert lock_holders(path, proc) == [PortUser(12, "client?[31m")]
    (proc / "locks").write_text(lock_line(path, 11, device="ff:ff"))
    assert lock_holders(path, proc) == [PortUser(11, "unknown program")], "some file systems tell two device numbers"


@pytest.mark.parametrize("text", ["", "garbage\n", "1: FLOCK ADVISORY WRITE x y:z:w 0 EOF\n", "\xff\xfe"])
def test_other_texts_name_no_process(text: str, tmp_path: Path) -> None:
    (tmp_path / "locks").write_text(text)
    assert lock_holders(tmp_path / "locks", tmp_path) == []
