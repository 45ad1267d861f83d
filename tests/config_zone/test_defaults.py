from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import read_zone_file
from atcaprov.config_zone.defaults import DEFAULT_608A, DEFAULT_CERTIFICATE_SLOTS, DEFAULT_DEVICE_KEY_SLOT
from tests.support.config_zones import with_slot

CONFIGS = Path(__file__).parents[2] / "configs"
# SlotConfig and KeyConfig, as decided.
SLOTS = {
    (0,): (0x0085, 0x0033),
    (1,): (0x2082, 0x0033),
    (2, 3, 4): (0x2085, 0x0033),
    (5, 6, 7, 9): (0x8F8F, 0x001C),
    (8, 13, 14, 15): (0x0F0F, 0x003C),
    (10, 12): (0x8F0F, 0x001C),
    (11,): (0x8F0F, 0x0010),
}


def test_the_default_is_what_was_decided() -> None:
    zone = bytes(16) + bytes.fromhex("C0000000") + bytes(32) + bytes.fromhex("FFFFFFFF00000000") * 2 + bytes(60)
    zone = zone[:86] + bytes.fromhex("5555FFFF") + zone[90:]
    for numbers, words in SLOTS.items():
        for number in numbers:
            zone = with_slot(number, *words, zone=zone)
    assert zone.hex(" ") == DEFAULT_608A.hex(" ")


@pytest.mark.parametrize("name", ["atecc608a-default.toml", "atecc608a-default.hex"])
def test_the_files_hold_the_default(name: str) -> None:
    assert read_zone_file(CONFIGS / name).zone.data == DEFAULT_608A


def test_the_default_slots() -> None:
    assert DEFAULT_DEVICE_KEY_SLOT == 0
    assert sorted(DEFAULT_CERTIFICATE_SLOTS) == [10, 11, 12]
