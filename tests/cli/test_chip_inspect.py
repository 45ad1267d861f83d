"""`atcaprov chip inspect`: a tray sorted, duplicates found across runs, nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Act, Device
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.cli.main import atcaprov
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.module_zones import FULL_MODULE
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.state_file import chip_file
from atcaprov.hal.registry import register_hal
from tests.support.chips_by_use import image, of_another_tool, provisioned, with_zone
from tests.support.programs import Ended, run_in_process
from tests.support.scripted_hal import ScriptedHal


def changed(offset: int, value: int) -> Memory:
    memory = image()
    memory.config[offset] = value
    return memory


CHIPS: dict[str, tuple[Callable[[], Memory], str]] = {
    "blank": (image, "blank"),
    "608B": (lambda: image("atecc608b"), "blank"),
    "counted": (lambda: changed(53, 0xFE), "used"),
    "UserExtra": (lambda: changed(84, 0x01), "used"),
    "address": (lambda: changed(16, 0x6A), "used"),
    "SlotLocked": (lambda: changed(88, 0xFE), "used"),
    "configured": (lambda: with_zone(DEFAULT_608A, config_locked=False, data_locked=False), "used"),
    "half provisioned": (lambda: with_zone(DEFAULT_608A, data_locked=False), "locked"),
    "provisioned": (provisioned, "locked"),
    "factory locked": (lambda: with_zone(bytes(image().config)), "locked"),
    "module": (lambda: with_zone(FULL_MODULE), "locked"),
    "other tool": (of_another_tool, "foreign"),
    "unknown table": (lambda: with_zone(bytes(128)), "foreign"),
    "wrong suffix": (lambda: changed(12, 0x77), "foreign"),
    "wrong maker": (lambda: changed(0, 0x55), "foreign"),
    "TNGTLS": (lambda: image("tngtls"), "trust-part"),
    "TFLXTLS": (lambda: image("tflxtls"), "trust-part"),
    "508A": (lambda: image("atecc508a"), "wrong-part"),
}


def inspect(*arguments: object) -> Ended:
    return run_in_process(atcaprov, "chip", "inspect", *map(str, arguments))


def found(*arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in inspect(*arguments, "--json").out.splitlines()]


@pytest.fixture
def chip(tmp_path: Path) -> Callable[[Memory], str]:
    """Save a memory as a chip file; give its URL."""

    def save(memory: Memory) -> str:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        file.write_bytes(chip_file(memory))
        return f"emulator:{file}"

    return save


@pytest.mark.slow
@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_is_sorted_and_left_as_it_is(name: str, chip: Callable[[Memory], str]) -> None:
    make, kind = CHIPS[name]
    url = chip(make())
    before = Path(url.removeprefix("emulator:")).read_bytes()
    (sorted_chip,) = found("--device", url)
    assert sorted_chip["kind"] == kind, sorted_chip["reason"]
    assert Path(url.removeprefix("emulator:")).read_bytes() == before
    assert inspect("--device", url, "--expect", kind).code == 0
    assert inspect("--device", url, "--expect", "duplicate").code == 1


def test_a_tray_of_blank_parts_is_as_expected(chip: Callable[[Memory], str]) -> None:
    urls = [word for _ in range(3) for word in ("--device", chip(image()))]
    ended = inspect(*urls)
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == "3 inspected, 3 blank"


def test_one_other_chip_makes_the_exit_code_1(chip: Callable[[Memory], str]) -> None:
    ended = inspect("--device", chip(image()), "--device", chip(of_another_tool()))
    assert ended.code == 1
    assert ended.out.splitlines()[-1] == "2 inspected, 1 blank, 1 foreign"


def test_a_serial_number_is_found_again_in_the_same_run(chip: Callable[[Memory], str]) -> None:
    url = chip(image())
    first, second = found("--device", url, "--device", url)
    assert (first["kind"], second["kind"]) == ("blank", "duplicate")
    assert second["reason"].startswith("its serial number was seen in record 1: the same part again, or a copy of it;")


def test_a_serial_number_is_found_again_in_a_later_run(chip: Callable[[Memory], str], tmp_path: Path) -> None:
    url, tray = chip(image()), tmp_path / "tray.jsonl"
    assert inspect("--device", chip(image()), "--device", url, "--tray", tray).code == 0
    assert inspect("--device", chip(image()), "--tray", tray).code == 0
    again = inspect("--device", url, "--tray", tray)
    assert again.code == 1
    assert "its serial number was seen in record 2" in again.out
    assert len(tray.read_text().splitlines()) == 5


def test_records_are_counted_over_unreadable_chips_and_damaged_lines(
    chip: Callable[[Memory], str], tmp_path: Path
) -> None:
    tray, first, second = tmp_path / "tray.jsonl", chip(image()), chip(image())
    found("--device", "i2c://99/0x60", "--device", first, "--tray", tray)
    with tray.open("a") as out:
        out.write("garbage\n")
    once, again, later = found("--device", second, "--device", second, "--device", first, "--tray", tray)
    assert (once["record"], again["record"], later["record"]) == (4, 5, 6)
    assert "seen in record 4:" in again["reason"]
    assert "seen in record 2:" in later["reason"]


def test_a_public_key_in_two_parts_is_a_copy(chip: Callable[[Memory], str], tmp_path: Path) -> None:
    tray, memory = tmp_path / "tray.jsonl", provisioned()
    first = chip(memory)
    memory.config[8:12] = b"copy"
    found("--device", first, "--tray", tray)
    (copy,) = found("--device", chip(memory), "--tray", tray)
    assert copy["kind"] == "duplicate"
    assert "its public key was seen in record 1, in the part 0123" in copy["reason"]


def test_one_serial_number_with_two_keys_is_reported(chip: Callable[[Memory], str]) -> None:
    memory = with_zone(DEFAULT_608A, data_locked=False)
    urls = []
    for _ in range(2):
        url = chip(memory)
        with Device.open(url) as device, device.permit(Act.CREATE_KEY):
            device.gen_key(0)
        urls += ["--device", url]
    _, second = found(*urls)
    assert "with other keys: two parts have this serial number, or its keys were replaced" in second["reason"]


def test_a_damaged_tray_is_used_with_a_warning(chip: Callable[[Memory], str], tmp_path: Path) -> None:
    tray = tmp_path / "tray.jsonl"
    inspect("--device", chip(image()), "--tray", tray)
    with tray.open("a") as out:
        out.write("garbage")
    ended = inspect("--device", chip(image()), "--tray", tray)
    assert ended.code == 0
    assert ended.err == "Warning: damaged lines in the tray file: 3. Their chips are not known as seen.\n"


def test_a_chip_that_does_not_answer_is_unreadable_and_the_others_are_sorted(chip: Callable[[Memory], str]) -> None:
    gone, blank = found("--device", "i2c://99/0x60", "--device", chip(image()))
    assert (gone["kind"], gone["serial_number"]) == ("unreadable", "")
    assert gone["reason"].startswith("[device-not-found]")
    assert blank["kind"] == "blank"


def test_random_numbers_before_the_lock_are_not_those_of_a_new_part() -> None:
    class Copy(ScriptedHal):
        def exchange(self, packet: bytes) -> bytes:
            reply = super().exchange(packet)
            return with_crc(bytes((35, *range(32)))) if packet[1] == Opcode.RANDOM else reply

    register_hal("copy", lambda _: Copy())
    (strange,) = found("--device", "copy:")
    assert strange["kind"] == "foreign"
    assert "its random numbers are not the fixed pattern" in strange["reason"]


def test_an_old_part_is_a_wrong_part() -> None:
    def open_old(_: str) -> ScriptedHal:
        hal = ScriptedHal()
        hal.answer = lambda packet: with_crc(bytes.fromhex("0700020009"))
        return hal

    register_hal("old", open_old)
    (old,) = found("--device", "old:")
    assert old["kind"] == "wrong-part"
    assert "ATSHA204A" in old["reason"]


def test_the_keys_of_the_page_are_those_of_the_object() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "chip-inspect.md").read_text(encoding="utf-8")
    section = page.split("## The tray file", 1)[1]
    for key in found("--device", "emulator:")[0]:
        assert f"`{key}`" in section
