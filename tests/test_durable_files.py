"""Files are written completely or not at all, at any failure."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import durable_files


def test_a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"first", b"", b"third" * 100_000):
        durable_files.replace(path, data, 0o600)
        assert path.read_bytes() == data
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [path]


def test_leftover_of_a_power_cut_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".file.new").write_bytes(b"cut")
    durable_files.replace(tmp_path / "file", b"whole", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    """Root's rename would put a file in the place of /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a file"):
        durable_files.replace(pipe, b"data", 0o600)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("fails", ["write", "fsync", "rename"])
def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    path = tmp_path / "file"
    durable_files.replace(path, b"old", 0o600)

    def full(*_: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as changed:
        changed.setattr("pathlib.Path.replace" if fails == "rename" else f"os.{fails}", full)
        with pytest.raises(OSError, match="no room"):
            durable_files.replace(path, b"new", 0o600)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fails", ["write", "fsync"])
@pytest.mark.parametrize("make", [durable_files.write_new, durable_files.open_new])
def test_new_file_that_cannot_be_written_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, bytes, int], object], fails: str
) -> None:
    def full(*_: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as changed:
        changed.setattr(f"os.{fails}", full)
        with pytest.raises(OSError, match="no room"):
            make(tmp_path / "file", b"new", 0o600)
    assert not list(tmp_path.iterdir())


def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        durable_files.write_new(path, b"new", 0o600)
    with pytest.raises(FileExistsError):
        durable_files.open_new(path, b"new", 0o600)
    assert path.read_bytes() == b"old"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: whole(descriptor, bytes(data[:3])))
    durable_files.write_new(tmp_path / "file", b"some longer bytes", 0o600)
    assert (tmp_path / "file").read_bytes() == b"some longer bytes"


def test_a_file_stays_open_for_more(tmp_path: Path) -> None:
    descriptor = durable_files.open_new(tmp_path / "log", b"head\n", 0o640)
    durable_files.write_synced(descriptor, b"line\n")
    os.close(descriptor)
    assert (tmp_path / "log").read_bytes() == b"head\nline\n"


def test_a_copy_has_the_bytes_and_the_mode(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"third" * 500_000)
    durable_files.copy_new(source, target, 0o600)
    assert target.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        durable_files.copy_new(source, target, 0o600)


def test_a_copy_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"data")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        durable_files.copy_new(source, target, 0o600)
    assert not target.exists()
