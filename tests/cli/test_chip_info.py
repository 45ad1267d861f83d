"""`atcaprov chip info`: what it prints, and that it leaves the chip as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Device
from atcaprov.cli.main import atcaprov
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.hex_file import format_hex
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.state_file import chip_file
from tests.support.chips_by_use import image, of_another_tool, provisioned
from tests.support.programs import Ended, run_in_process


def info(url: str, *options: str) -> Ended:
    return run_in_process(atcaprov, "chip", "info", "--device", url, *options)


def info_object(url: str) -> dict[str, Any]:
    ended = info(url, "--json")
    assert ended.code == 0, ended.err
    (line,) = ended.out.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def saved(folder: Path, memory: Memory) -> str:
    file = folder / "chip.json"
    file.write_bytes(chip_file(memory))
    return f"emulator:{file}"


def test_a_chip_file_that_does_not_exist_is_shown_blank_and_not_created(tmp_path: Path) -> None:
    ended = info(f"emulator:{tmp_path}/new.json")
    assert ended.code == 0
    assert "use             blank: as the maker delivers it, not configured and not locked" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_slots_are_shown_as_config_show_shows_them(tmp_path: Path) -> None:
    url = saved(tmp_path, provisioned())
    file = tmp_path / "zone.hex"
    file.write_text(format_hex(DEFAULT_608A))
    shown = run_in_process(atcaprov, "config", "show", str(file)).out
    table = shown[shown.index("slot  SlotConfig") :]
    assert table in info(url).out
    assert len(table.splitlines()) == 17


def test_a_provisioned_chip_is_told_with_its_keys_and_public_keys(tmp_path: Path) -> None:
    url = saved(tmp_path, provisioned())
    with Device.open(url) as device:
        public_key, serial = device.get_pubkey(0), device.serial_number()
    found = info_object(url)
    assert found["use"] == "product"
    assert (found["config_locked"], found["data_locked"], found["locked_slots"]) == (True, True, [])
    assert found["serial_number"] == serial.hex().upper()
    assert found["slots"][0]["has_key"] is True
    assert found["slots"][0]["public_key"] == public_key.hex().upper()
    assert found["slots"][1]["has_key"] is False
    assert found["slots"][8]["has_key"] is None


def test_a_finished_chip_is_told_as_provisioned_without_a_next_stage(tmp_path: Path) -> None:
    url = saved(tmp_path, provisioned())
    out = info(url).out
    assert "use             product: provisioned: it has a key and certificates" in out
    assert "next stage" not in out
    assert info_object(url)["next_stages"] == []


def test_every_key_of_the_page_is_in_the_object_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "chip-commands.md").read_text(encoding="utf-8")
    section = page.split("## atcaprov chip info", 1)[1].split("\n## ", 1)[0].split("### JSON", 1)[1]
    named = [
        name.strip().strip("`")
        for line in section.splitlines()
        if line.startswith("| `")
        for name in line.split("|")[1].split(",")
    ]
    assert sorted(named) == sorted(info_object("emulator:"))


def test_another_tools_chip_says_where_its_table_is_published(tmp_path: Path) -> None:
    out = info(saved(tmp_path, of_another_tool())).out
    assert "use             other-tool: the configuration of kmwebnet's ECC608-MassProvisioning: locked" in out
    assert "known from      kmwebnet/ECC608-MassProvisioning, src/configure.c" in out


def test_wrong_part_is_named_as_one() -> None:
    ended = info("emulator:?image=atecc508a")
    assert ended.code == 0
    assert "ATECC508A, revision 00 00 50 00; not an ATECC608, which alone atcaprov provisions" in ended.out
    assert info_object("emulator:?image=atecc508a")["is_608"] is False


def test_both_revisions_are_shown_where_they_differ(tmp_path: Path) -> None:
    memory = image()
    memory.config[4:8] = bytes.fromhex("00006001")
    assert "ATECC608A, revision 00 00 60 02 by Info, 00 00 60 01 in the zone" in info(saved(tmp_path, memory)).out


def test_a_trace_is_written(tmp_path: Path) -> None:
    assert info("emulator:", "--trace", str(tmp_path / "trace.jsonl")).code == 0
    assert (tmp_path / "trace.jsonl").read_text().count('"exchange"') > 5


@pytest.mark.parametrize("url", ["emulator://x", "nothing:", "emulator:?x=y"])
def test_a_bad_url_is_a_usage_error(url: str) -> None:
    ended = info(url)
    assert (ended.code, ended.out) == (2, "")
    assert "Error [usage]" in ended.err
