"""Whose configuration a zone is: known answers from each table's source, whatever its locks, counters and address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.chip.memory_map import KEY_CONFIG, SLOT_CONFIG
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.layouts import Layout, belongs_to, layout_of
from atcaprov.config_zone.module_zones import FULL_MODULE
from atcaprov.config_zone.published_zones import FACTORY_ZONES, PUBLISHED_ZONES
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom
from tests.support.config_zones import published

OTHER_TOOLS = json.loads((Path(__file__).parents[1] / "vectors" / "other-tools-zones.json").read_text())["zones"]
NAMES = {
    "atmel8970-508a": "Atmel's provisioning kit (ATECC508A default)",
    "cal-reference-608": "the tests of cryptoauthlib for the ATECC608",
    "cal-reference-508": "the tests of cryptoauthlib for the ATECC508A",
    "cryptoauthtools-608": "cryptoauthtools (config.py, ATECC608)",
    "cryptoauthtools-508": "cryptoauthtools (config.py, ATECC508A)",
    "mbedtls-examples-608": "Microchip's examples for mbed TLS",
    "kmwebnet-608": "kmwebnet's ECC608-MassProvisioning",
    "zero-touch": "the AWS zero touch kit",
    "w25-508": "Atmel's engine for OpenSSL (TLS example)",
    "mbed-dev-508": "mbed OS (developer table)",
}
"""Tables of tests/vectors/config-zones.json."""


def blank(image: str = "atecc608a") -> bytearray:
    return load_image(image).make(SeededRandom(b"part")).config


def locked(zone: bytes) -> bytes:
    """Return a zone after years of use: locked, counted, slots locked, UserExtra set, at another address."""
    used = bytearray(zone)
    used[86:90] = bytes.fromhex("0000FAFF")
    used[52:60] = bytes.fromhex("07FFFFFF00010000")
    used[84], used[16] = 0x5A, 0x32
    return bytes(used)


def zone_of(vector: dict[str, object]) -> bytes:
    if "zone" in vector:
        return bytes.fromhex(str(vector["zone"]))
    zone = blank()
    for start, key in ((SLOT_CONFIG, "slot_config"), (KEY_CONFIG, "key_config")):
        words = vector[key]
        assert isinstance(words, list)
        zone[start : start + 32] = b"".join(bytes.fromhex(word)[::-1] for word in words)
    settings = vector["settings"]
    assert isinstance(settings, dict)
    for offset, value in settings.items():
        zone[int(offset)] = value
    return bytes(zone)


@pytest.mark.parametrize("name", NAMES)
def test_published_tables_are_recognized_before_and_after_the_lock(name: str) -> None:
    zone = bytes(blank()[:16]) + published(name)[16:]
    for each in (zone, locked(zone)):
        found = layout_of(each)
        assert (found.layout, found.name) == (Layout.PUBLISHED, NAMES[name])
        assert found.source


@pytest.mark.parametrize("vector", OTHER_TOOLS, ids=lambda vector: str(vector["tool"]))
def test_tables_of_other_tools_are_recognized(vector: dict[str, object]) -> None:
    for zone in (zone_of(vector), locked(zone_of(vector))):
        found = layout_of(zone)
        assert found.layout is Layout.PUBLISHED
        assert str(vector["tool"]) in found.name


@pytest.mark.parametrize("image", ["atecc508a", "atecc608a", "atecc608b", "atecc608c"])
def test_a_new_part_is_recognized(image: str) -> None:
    assert layout_of(bytes(blank(image))).layout is Layout.FACTORY


@pytest.mark.parametrize("image", ["tngtls", "tflxtls"])
def test_a_trust_part_is_one_also_where_another_tool_uses_its_table(image: str) -> None:
    config = bytes(blank(image))
    assert layout_of(config).layout is Layout.TRUST
    generic = layout_of(config[:12] + b"\xee" + config[13:])
    assert generic.layout is (Layout.PUBLISHED if image == "tflxtls" else Layout.UNKNOWN)


def test_what_atcaprov_makes_is_recognized() -> None:
    assert layout_of(locked(DEFAULT_608A)).layout is Layout.DEFAULT
    assert layout_of(FULL_MODULE).layout is Layout.MODULE


@given(st.integers(0, 31), st.integers(1, 255))
@pytest.mark.slow
def test_one_other_slot_word_makes_a_table_unknown(byte: int, change: int) -> None:
    zone = bytearray(DEFAULT_608A)
    zone[SLOT_CONFIG + byte] ^= change
    assert layout_of(bytes(zone)).layout is Layout.UNKNOWN


def test_no_two_tables_are_the_same() -> None:
    settings = [tuple(sorted(table.settings.items())) for table in (*FACTORY_ZONES, *PUBLISHED_ZONES)]
    assert len(set(settings)) == len(settings)


@given(st.binary(min_size=128, max_size=128))
def test_any_zone_has_an_answer(zone: bytes) -> None:
    assert layout_of(zone).layout in Layout
    belongs_to(zone)


def test_owner_of_a_locked_chip_is_named() -> None:
    assert belongs_to(bytes(blank())) is None
    assert belongs_to(locked(bytes(blank()))) == (
        "locked with the configuration of a new part, as esp_cryptoauth_utility does"
    )
    assert belongs_to(FULL_MODULE[:86] + b"\0\0" + FULL_MODULE[88:]) == "a root or signer module"
    assert belongs_to(FULL_MODULE[:87] + b"\0" + FULL_MODULE[88:]) == "a root or signer module, not finished"
    assert belongs_to(bytes(blank("tngtls"))) == "a Trust part (ATECC608 TNGTLS), which its maker delivers locked"
    assert belongs_to(bytes(86) + bytes(42)) is None
