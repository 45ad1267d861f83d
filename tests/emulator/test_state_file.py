"""The file of a kept chip: whole after every change, and refused with its name when damaged."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from atcaprov import Code, TransportError, UsageError, durable_files, open_hal
from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.hal.emulated import open_emulated
from tests.support.chips import packet, reply_body


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chip.json"


def test_a_missing_file_is_a_blank_chip_and_is_created_for_its_owner_only(path: Path) -> None:
    hal = open_emulated(str(path))
    assert hal.url == f"emulator:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["config"] == bytes(hal.chip.memory.config).hex()


def test_a_change_is_in_the_file_when_its_reply_is_out(path: Path) -> None:
    first = open_hal(f"emulator:{path}")
    first.wake()
    first.exchange(packet(Opcode.LOCK, 0x80))
    public_key = reply_body(first.exchange(packet(Opcode.GEN_KEY, 4, 0)))
    first.close()
    second = open_hal(f"emulator:{path}")
    second.wake()
    assert reply_body(second.exchange(packet(Opcode.GEN_KEY, 0, 0))) == public_key


def test_the_answer_of_info_is_kept_beside_the_zone(path: Path) -> None:
    hal = open_emulated(str(path))
    hal.close()
    contents = json.loads(path.read_text())
    assert contents["revision"] == "00006002"
    path.write_text(json.dumps(contents | {"revision": "00006003"}))
    again = open_hal(f"emulator:{path}")
    again.wake()
    assert reply_body(again.exchange(packet(Opcode.INFO))).hex() == "00006003"
    again.exchange(UPDATE)
    again.close()
    kept = json.loads(path.read_text())
    assert (kept["revision"], kept["config"][8:16]) == ("00006003", "00006002")


def test_a_file_of_an_earlier_version_answers_info_from_its_zone(path: Path) -> None:
    open_emulated(f"{path}?image=atecc508a").close()
    contents = json.loads(path.read_text())
    del contents["revision"]
    path.write_text(json.dumps(contents))
    hal = open_hal(f"emulator:{path}")
    hal.wake()
    assert reply_body(hal.exchange(packet(Opcode.INFO))).hex() == "00005000"


def test_reading_writes_nothing(path: Path) -> None:
    hal = open_emulated(str(path))
    before = path.stat()
    hal.wake()
    hal.exchange(packet(Opcode.READ, 0x80))
    assert path.stat() == before


UPDATE = packet(Opcode.UPDATE_EXTRA, 0, 7)


@pytest.mark.parametrize("command", [packet(Opcode.READ, 0x80), UPDATE], ids=["read", "change"])
@pytest.mark.parametrize("other", [None, "{}"], ids=["nothing", "another file"])
def test_a_file_that_was_moved_away_does_not_come_back(path: Path, command: bytes, other: str | None) -> None:
    hal = open_emulated(str(path))
    moved = path.rename(path.with_name("drawer.json"))
    before = moved.read_text()
    if other is not None:
        path.write_text(other)
    hal.wake()
    for _ in range(2):
        with pytest.raises(TransportError, match="was moved or replaced") as caught:
            hal.exchange(command)
        assert caught.value.code == Code.DEVICE_NOT_FOUND
    assert moved.read_text() == before
    assert [file.name for file in sorted(path.parent.iterdir())] == (["chip.json"] if other else []) + ["drawer.json"]
    hal.close()
    again = open_emulated(str(moved))
    again.wake()
    assert reply_body(again.exchange(UPDATE)) == b"\0"


def test_a_file_that_is_moved_away_while_it_is_written_does_not_come_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hal = open_emulated(str(path))
    write_new = durable_files.write_new

    def unplugged_meanwhile(fresh: Path, data: bytes, mode: int) -> None:
        write_new(fresh, data, mode)
        path.rename(path.with_name("drawer.json"))

    monkeypatch.setattr(durable_files, "write_new", unplugged_meanwhile)
    hal.wake()
    with pytest.raises(TransportError):
        hal.exchange(UPDATE)
    assert [file.name for file in path.parent.iterdir()] == ["drawer.json"]


def test_file_is_used_by_one_program_under_any_name(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    first = open_emulated(str(path))
    for name in (path, link):
        with pytest.raises(TransportError) as caught:
            open_emulated(str(name))
        assert caught.value.code == Code.DEVICE_BUSY
    first.close()
    second = open_emulated(str(link))
    second.wake()
    second.exchange(UPDATE)
    assert link.is_symlink()
    with pytest.raises(TransportError):
        open_emulated(str(path))


def test_no_other_file_remains(path: Path) -> None:
    hal = open_emulated(str(path))
    hal.wake()
    hal.exchange(packet(Opcode.UPDATE_EXTRA, 0, 7))
    assert os.listdir(path.parent) == ["chip.json"]  # noqa: PTH208 - names only


def test_chip_in_memory_needs_no_file() -> None:
    hal = open_hal("emulator:")
    with pytest.raises(TransportError) as caught:
        hal.exchange(packet(Opcode.INFO))
    assert caught.value.code == Code.DEVICE_NO_REPLY
    hal.wake()
    assert reply_body(hal.exchange(packet(Opcode.INFO))) == bytes.fromhex("00006002")
    hal.idle()
    hal.wake()
    hal.sleep()
    hal.close()


def damaged(text: str) -> list[str]:
    document = json.loads(text)
    changes = [
        {"version": 2},
        {"format": "other"},
        {"config": "00"},
        {"otp": document["otp"] + "ff"},
        {"data": "zz" * 1208},
        {"data": 5},
        {"config": None},
        {"revision": "000060"},
        {"revision": None},
    ]
    broken = [json.dumps(document | change) for change in changes]
    missing = [
        json.dumps({name: value for name, value in document.items() if name != gone})
        for gone in document
        if gone != "revision"
    ]
    return [*broken, *missing, "", "[]", "null", "{", '"x"', "\x00", "é"]


@pytest.mark.parametrize("number", range(21))
def test_a_damaged_file_is_named_and_left_alone(path: Path, number: int) -> None:
    open_emulated(str(path)).close()
    text = damaged(path.read_text())[number]
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        open_emulated(str(path))
    assert caught.value.code == Code.FILE_INVALID
    assert str(path) in str(caught.value)
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.slow
def test_every_cut_of_the_file_is_noticed(path: Path) -> None:
    open_emulated(str(path)).close()
    text = path.read_bytes()
    for length in range(len(text) - 2):
        path.write_bytes(text[:length])
        with pytest.raises(UsageError):
            open_emulated(str(path))


def test_a_folder_is_refused_as_chip_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_emulated(str(tmp_path))
    assert caught.value.code == Code.FILE_UNREADABLE


def test_file_that_cannot_be_written_is_reported_and_stays_whole(path: Path) -> None:
    hal = open_emulated(str(path))
    before = path.read_bytes()
    memory = hal.chip.memory.image()
    path.with_name(".chip.json.new").mkdir()
    hal.wake()
    with pytest.raises(UsageError) as caught:
        hal.exchange(packet(Opcode.UPDATE_EXTRA, 0, 7))
    assert caught.value.code == Code.FILE_UNREADABLE
    assert path.read_bytes() == before
    assert hal.chip.memory.image() == memory


def test_error_for_a_missing_folder_does_not_mention_a_file(path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_emulated(str(path.parent / "missing" / "chip.json"))
    assert caught.value.advice.startswith("Check that its folder exists")
    assert "still holds" not in caught.value.advice


def test_the_start_of_a_chip_is_its_own() -> None:
    assert Chip().memory.serial != Chip().memory.serial


def test_unreadable_file_is_a_typed_error() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        open_hal(f"emulator:{'x' * 300}")  # longer than a name can be
