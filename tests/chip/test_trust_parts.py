"""Which Trust part a configuration zone belongs to, judged by zones that others read from their parts."""

from __future__ import annotations

import pytest

from atcaprov import Device
from atcaprov.chip.memory_map import SLOT_COUNT, SLOT_LOCKED, USER_EXTRA_ADD, key_config
from atcaprov.chip.trust_parts import TRUST_PARTS, TrustPart, otp_code, trust_part, trust_part_name
from atcaprov.config_zone.defaults import DEFAULT_608A

_END_OF_TFLX = "00000000000003f700697600000000000000000000000000ffff0e6000000000"
PUBLISHED = {
    # cryptoauth_test readcfg of parts on a Trust platform board
    "TNGTLS": "01233fce000060039912440f01615500"
    "6a000001850082008520852085200f8f8f0f8f8f0f0f8f0f0f8f0f8f0f8f8f8f8f8f8f8f00000001000000000fffffff"
    "00000000000000f700697600000000000000000000000000ffff0e6000000000"
    "530053007300730073001c007c001c003c001a001c0010001c001c001c001c00",
    "TFLXTLS": "01238b2600006003365dc41801616900"
    "6c000001850082008520852085208f468f0f9f8f0f0f8f0f0f0f0f0f0f0f0f0f0d1f0f0fffffffff00000000ffffffff"
    f"{_END_OF_TFLX}5300530073007300730038007c001c003c001a003c0030003c00300012003000",
    # cryptoauthtools info.py with an ATECC608A at 0x35, 2019: a TNGTLS before its table was corrected
    "early TNGTLS": "0123cfe100006002ef17f0b001012900"
    "6a000001850082008520852085208f468f0f9f8f0f0f8f0f0f8f0f8f0f8f0f0f0d1f0f0fffffffff00000000ffffffff"
    f"{_END_OF_TFLX}5300530073007300730038007c001c003c001a001c0010001c00300012003000",
}


def published(name: str) -> bytes:
    zone = bytes.fromhex(PUBLISHED[name])
    assert len(zone) == 128
    return zone


def changed(zone: bytes, changes: dict[int, int]) -> bytes:
    return bytes(changes.get(offset, byte) for offset, byte in enumerate(zone))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_zones_are_recognized(name: str) -> None:
    assert trust_part_name(published(name)) == f"ATECC608 {name.split()[-1]}"


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("address", [0x6A, 0x6C, 0xC0, 0xB2])
def test_a_changed_address_does_not_hide_the_part(name: str, address: int) -> None:
    moved = changed(published(name), {USER_EXTRA_ADD: address})
    assert trust_part(moved) == trust_part(published(name))


def test_locked_slots_do_not_hide_the_part() -> None:
    locked = changed(published("TFLXTLS"), dict.fromkeys(range(SLOT_LOCKED.start, SLOT_LOCKED.stop), 0))
    assert trust_part_name(locked) == "ATECC608 TFLXTLS"


@pytest.mark.parametrize("end", [0x01, 0x10, 0x27])
@pytest.mark.parametrize("address", [0xC0, 0x6A, 0x6C, 0x70, 0xB2])
def test_the_serial_number_and_the_address_alone_make_no_trust_part(end: int, address: int) -> None:
    ours = changed(DEFAULT_608A, {12: end, 16: address, 86: 0, 87: 0})
    assert trust_part(ours) is None


@pytest.mark.parametrize(
    "change", [{12: 0xEE}, {16: 0xC0}, {19: 0}, {86: 0x55}, {87: 0x55}, {90: 0x0C}, {91: 0x70}], ids=str
)
@pytest.mark.parametrize("name", ["TNGTLS", "TFLXTLS"])
def test_a_zone_that_differs_in_one_stated_fact_is_no_trust_part(name: str, change: dict[int, int]) -> None:
    assert trust_part(changed(published(name), change)) is None


def test_addresses_are_those_that_a_search_of_the_bus_asks() -> None:
    """7-bit addresses of the data sheets: 0x35, 0x36, 0x38, 0x59."""
    assert [part.address >> 1 for part in TRUST_PARTS] == [0x35, 0x36, 0x38, 0x59]


@pytest.mark.parametrize("part", TRUST_PARTS, ids=lambda part: part.name)
def test_every_part_tells_what_each_slot_is(part: TrustPart) -> None:
    assert len(part.slots) == SLOT_COUNT
    assert all(part.slots)
    assert part.lockable_slots < set(range(SLOT_COUNT))
    assert all(len(code) == 8 for code in part.otp_codes)


def test_only_published_codes_count() -> None:
    assert otp_code(b"wdNxAjae" + bytes(56)) == b"wdNxAjae"
    assert otp_code(b"\xff" * 64) is None
    assert otp_code(b"wdNxAja") is None


@pytest.mark.parametrize(
    ("image", "name"),
    [
        *((f"tngtls{silicon}", "TNGTLS") for silicon in ("", "-608a", "-608c")),
        *((f"tflxtls{silicon}", "TFLXTLS") for silicon in ("", "-608a", "-608c")),
        ("tmngtls", "TMNGTLS"),
        ("tnglora", "TNGLORA"),
    ],
)
def test_the_images_are_the_parts_that_they_are_named_after(image: str, name: str) -> None:
    with Device.open(f"emulator:?image={image}") as device:
        part = trust_part(device.read_config())
        code = otp_code(device.read_otp(0, 32))
    assert part is not None
    assert part.name == name
    assert code in part.otp_codes


@pytest.mark.parametrize("image", ["atecc508a", "atecc608a", "atecc608b", "atecc608c"])
def test_a_blank_part_is_no_trust_part(image: str) -> None:
    with Device.open(f"emulator:?image={image}") as device:
        assert trust_part(device.read_config()) is None


@pytest.mark.parametrize("image", ["tngtls", "tflxtls", "tmngtls", "tnglora"])
def test_the_lockable_slots_of_the_images_are_those_stated(image: str) -> None:
    with Device.open(f"emulator:?image={image}") as device:
        config = device.read_config()
    part = trust_part(config)
    assert part is not None
    assert {slot for slot in range(SLOT_COUNT) if key_config(config, slot) & 0x20} == part.lockable_slots
