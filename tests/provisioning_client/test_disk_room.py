"""A disk without room for what a run writes is found before a chip is touched. The disk is played."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from atcaprov import Board, Code, UsageError
from atcaprov.durable_files import free_bytes
from provisioning_client.disk_room import ROOM_MIN, DiskRoom

pytestmark = pytest.mark.skipif(not hasattr(os, "statvfs"), reason="this system has no statvfs to be played")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give every disk so many bytes and files."""

    def set_free(free: int, files: int = 1000, of_files: int = 2000) -> None:
        played = SimpleNamespace(f_bavail=free // 512, f_frsize=512, f_files=of_files, f_favail=files)
        monkeypatch.setattr(os, "statvfs", lambda place: played)

    return set_free


@pytest.mark.parametrize(
    ("free", "files", "of_files", "good"),
    [(ROOM_MIN, 1, 1, True), (ROOM_MIN - 512, 1, 1, False), (ROOM_MIN, 0, 9, False), (ROOM_MIN, 0, 0, True)],
)
def test_disk_of_the_trace_needs_room_and_a_file(
    disk: Callable[..., None], tmp_path: Path, free: int, files: int, of_files: int, good: bool
) -> None:
    disk(free, files, of_files)
    room = DiskRoom(tmp_path / "trace.jsonl")
    if good:
        room.require()
        return
    with pytest.raises(UsageError, match=r"disk of the trace .*trace\.jsonl has") as caught:
        room.require()
    assert (caught.value.code, caught.value.board) == (Code.DISK_FULL, Board.UNTOUCHED)


def test_json_lines_in_a_file_need_room(
    disk: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(0)
    with (tmp_path / "out.jsonl").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        with pytest.raises(UsageError, match="standard output"):
            DiskRoom().require()


def test_a_run_that_writes_no_file_needs_no_room(disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    disk(0)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        DiskRoom().require()
    os.close(reading)


def test_a_folder_that_cannot_be_asked_is_no_full_disk(tmp_path: Path) -> None:
    DiskRoom(tmp_path / "missing" / "trace.jsonl").require()


def test_free_space_is_a_number(tmp_path: Path) -> None:
    free = free_bytes(tmp_path)
    assert free is not None
    assert free > 0
