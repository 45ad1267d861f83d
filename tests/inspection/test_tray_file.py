"""The file of a tray survives cuts, garbage and other programs."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.inspection.tray import Inspected, Kind, Seen
from atcaprov.inspection.tray_file import MAX_TRAY, TrayFile

KEY = "AB" * 64


def chip(number: int, kind: Kind = Kind.BLANK) -> Inspected:
    return Inspected("emulator:", kind, "as it was made", "ATECC608A", "blank", f"0123{number:012X}EE", {"0": KEY})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tray.jsonl"
    with TrayFile(path) as tray:
        assert tray.seen == []
        assert [tray.add(chip(number)) for number in (1, 2, 3)] == [1, 2, 3]
    return path


def read(path: Path) -> tuple[list[Seen], list[int]]:
    with TrayFile(path) as tray:
        return tray.seen, tray.damaged


def test_what_was_added_is_seen_by_the_next_run(file: Path) -> None:
    seen, damaged = read(file)
    assert seen == [Seen(number, f"0123{number:012X}EE", frozenset({KEY})) for number in (1, 2, 3)]
    assert damaged == []


def test_a_record_says_when_and_what(file: Path) -> None:
    record = json.loads(file.read_text().splitlines()[1])
    assert record["at"].endswith("+00:00")
    assert (record["record"], record["kind"], record["part"]) == (1, "blank", "ATECC608A")


@pytest.mark.slow
def test_after_a_cut_at_any_byte_all_whole_records_are_known_and_the_file_goes_on(file: Path) -> None:
    content = file.read_bytes()
    ends = [at + 1 for at, byte in enumerate(content) if byte == 10]
    for length in sorted({*range(0, len(content), 7), *ends, *(end - 1 for end in ends), *(end - 2 for end in ends)}):
        file.write_bytes(content[:length])
        whole = sum(end - 1 <= length for end in ends[1:])
        with TrayFile(file) as tray:
            assert len(tray.seen) == whole, length
            record = tray.add(chip(9))
        seen, damaged = read(file)
        assert seen[-1] == Seen(record, chip(9).serial_number, frozenset({KEY}))
        assert len(seen) == whole + 1
        assert len(damaged) <= 1


@pytest.mark.slow
@given(st.binary(max_size=200))
def test_garbage_between_records_is_left_out_and_named(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes
) -> None:
    path = tmp_path_factory.mktemp("tray") / "tray.jsonl"
    with TrayFile(path) as tray:
        tray.add(chip(1))
    lines = garbage.count(b"\n") + 1
    with path.open("ab") as out:
        out.write(garbage + b"\n")
    with TrayFile(path) as tray:
        tray.add(chip(2))
    seen, damaged = read(path)
    assert [each.serial_number for each in seen] == [chip(1).serial_number, chip(2).serial_number]
    assert damaged == list(range(3, 3 + lines))


@pytest.mark.parametrize("bit", range(0, 8 * 40, 7))
def test_a_flipped_bit_costs_one_record_at_most(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    start = content.index(b"\n") + 1
    content[start + bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    seen, _ = read(file)
    assert {each.serial_number for each in seen} >= {chip(3).serial_number}


@pytest.mark.parametrize(
    "content",
    [b"hello\n", b"[]\n", b'{"format": "atcaprov tray", "version": 2}\n', b'{"format": "atcaprov chip"}\n', b"\xff\n"],
)
def test_another_file_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        TrayFile(path)
    assert refused.value.code == Code.FILE_INVALID
    assert path.read_bytes() == content


def test_a_file_that_is_too_long_is_refused(file: Path) -> None:
    with file.open("r+b") as out:
        out.truncate(MAX_TRAY + 1)
    with pytest.raises(UsageError) as refused:
        TrayFile(file)
    assert refused.value.code == Code.FILE_INVALID


def test_one_program_at_a_time_has_a_tray(file: Path) -> None:
    with TrayFile(file), pytest.raises(UsageError, match="in use by another program") as refused:
        TrayFile(file)
    assert refused.value.code == Code.FILE_UNWRITABLE
    read(file)


@pytest.mark.parametrize("name", ["", "missing/tray.jsonl"])
def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as refused:
        TrayFile(tmp_path / name)
    assert refused.value.code == Code.FILE_UNWRITABLE


def test_a_full_disk_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UsageError, match="No space left on device"):
        TrayFile(tmp_path / "tray.jsonl")
    assert list(tmp_path.iterdir()) == []
