"""The chips that are served: addresses, serial numbers, state files."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import Code, UsageError, open_hal
from atcaprov.chip.commands import Opcode
from atcaprov.emulator.images import load_image
from atcaprov.serving.chips import MOST_CHIPS, make_chips
from tests.support.chips import packet, send


def test_each_chip_has_its_own_address_serial_number_and_clock() -> None:
    chips = make_chips(load_image("atecc608a"), MOST_CHIPS)
    addresses = {chip.i2c_address for chip in chips}
    assert addresses == set(range(0x08, 0x78))
    assert [chip.i2c_address for chip in chips[:3]] == [0x60, 0x61, 0x62]
    assert len({chip.memory.serial for chip in chips}) == MOST_CHIPS
    assert len({id(chip.clock) for chip in chips}) == MOST_CHIPS


def test_the_first_chip_is_the_image_byte_for_byte() -> None:
    (chip,) = make_chips(load_image("tngtls"))
    config = bytes(chip.memory.config)
    assert config[16:] == load_image("tngtls").config[16:]
    assert chip.i2c_address == 0x35


def test_state_files_keep_each_chip(tmp_path: Path) -> None:
    state = tmp_path / "chips.json"
    first = make_chips(load_image("atecc608a"), 3, state=state)
    for chip in first:
        send(chip, Opcode.COUNTER, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chips-2.json", "chips-3.json", "chips.json"]
    second = make_chips(load_image("atecc608b"), 3, state=state)
    assert [chip.memory.image() for chip in second] == [chip.memory.image() for chip in first]


def test_a_state_file_is_also_an_emulator_url(tmp_path: Path) -> None:
    (chip,) = make_chips(load_image("atecc608a"), state=tmp_path / "chip.json")
    hal = open_hal(f"emulator:{tmp_path / 'chip.json'}")
    hal.wake()
    assert hal.exchange(packet(Opcode.READ, 0x80))[1:33] == bytes(chip.memory.config[:32])


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "chip-2.json").write_text("{}")
    with pytest.raises(UsageError, match=r"chip-2\.json") as caught:
        make_chips(load_image("atecc608a"), 2, state=tmp_path / "chip.json")
    assert caught.value.code == Code.FILE_INVALID


def test_every_chip_has_the_fault_plan_for_itself() -> None:
    chips = make_chips(load_image("atecc608a"), 2, faults='[[fault]]\nkind = "ecc-fault"\ncommand = 1\n')
    for chip in chips:
        assert send(chip, Opcode.INFO).status == 0x05
        assert len(send(chip, Opcode.INFO).body) == 4


def test_invalid_fault_plan_is_refused() -> None:
    with pytest.raises(UsageError):
        make_chips(load_image("atecc608a"), faults="[[fault]]\nkind = 7\n")
