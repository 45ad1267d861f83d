from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, ConfigZone, Part, UsageError
from atcaprov.config_zone.diff import differing_bytes
from atcaprov.config_zone.toml_file import build, build_toml
from tests.support.config_zones import PUBLISHED, published

CONFIGS = Path(__file__).parents[2] / "configs"
ALL_SLOTS = {"0-15": {"read": "clear"}}

READ = {(0, 0): "clear", (1, 0): "never", (1, 1): "encrypted"}
KEY_TYPE = {4: "p256", 6: "aes", 7: "other"}


def slot_fields(slot: dict[str, Any]) -> dict[str, Any]:
    """Return the named fields of a slot as the published decoding gives it."""
    fields: dict[str, Any] = {
        "key_type": KEY_TYPE[slot["key_type"]],
        "limited_use": bool(slot["limited_use"]),
        "lockable": bool(slot["lockable"]),
        "req_random": bool(slot["req_random"]),
        "persistent_disable": bool(slot["bit12"]),
        "x509_id": slot["x509id"],
    }
    return fields | (private_fields(slot) if slot["private"] else data_fields(slot))


def private_fields(slot: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "private": True,
        "external_sign": bool(slot["read_key"] & 1),
        "internal_sign": bool(slot["read_key"] & 2),
        "ecdh": ["off", "clear", "off", "partner-slot"][slot["read_key"] >> 2],
        "gen_key_after_lock": slot["write_config"][2] == "1",
        "public_key": bool(slot["pub_info"]),
    }
    if slot["write_config"][1] == "1":
        fields["priv_write_key"] = slot["write_key"]
    return fields


def data_fields(slot: dict[str, Any]) -> dict[str, Any]:
    bits = slot["write_config"]
    write = "encrypted" if bits[1] == "1" else {"0000": "always", "0001": "while-invalid"}.get(bits, "never")
    derive = {"0": "off", "1": "create" if bits[3] == "1" else "roll"}[bits[2]]
    return {
        "read": READ[slot["is_secret"], slot["encrypt_read"]],
        "read_key": slot["read_key"],
        "write": write,
        "write_key": slot["write_key"],
        "derive": derive,
        "derive_needs_mac": derive != "off" and bits[0] == "1",
        "verify_only": bool(slot["no_mac"]),
        "pub_info": bool(slot["pub_info"]),
    }


CHIP: dict[str, dict[str, Any]] = {
    "atmel8970-508a": {},
    "factory-508a": {"otp_mode": "consumption"},
    "w25-508": {"otp_mode": "consumption"},
    "mbed-dev-508": {"otp_mode": "consumption"},
    "cryptoauthtools-508": {"otp_mode": "consumption", "i2c_address": 0xB0},
    "factory-608a": {},
    "mbedtls-examples-608": {"byte_85_once": True},
    "kmwebnet-608": {"byte_85_once": True, "io_protection_key_slot": 4, "kdf_aes": True},
    "cryptoauthtools-608": {
        "i2c_address": 0x6A,
        "byte_85_once": True,
        "secure_boot": {"mode": "full-dig", "digest_slot": 7, "key_slot": 15},
        "kdf_iv": "69 76",
        "io_protection_key_slot": 6,
        "kdf_aes": True,
        "clear_health_failure": True,
    },
}


@pytest.mark.parametrize("name", CHIP)
def test_published_tables_are_built_from_their_fields(name: str) -> None:
    source = PUBLISHED[name]
    slots = {str(slot["slot"]): slot_fields(slot) for slot in source["slots"]}
    built = build({"part": source["part"], "chip": CHIP[name], "slots": slots})
    assert differing_bytes(built, published(name)) == []


def test_a_new_zone_is_open() -> None:
    zone = ConfigZone(build({"slots": ALL_SLOTS}))
    assert (zone.config_locked, zone.data_locked, zone.slot_locked) == (False, False, 0xFFFF)
    assert zone.i2c_address == 0xC0
    assert zone.data[:16] == bytes(16)


def test_slots_are_named_one_by_one_by_range_and_by_list() -> None:
    slots = {"0": {"write": "always"}, "1-3": {"lockable": True}, "4,6-7, 15": {"read": "never"}, "5,8-14": {}}
    zone = ConfigZone(build({"slots": slots}))
    assert [slot.number for slot in zone.slots if slot.key_config.lockable] == [1, 2, 3]
    assert [slot.number for slot in zone.slots if slot.slot_config.is_secret] == [4, 6, 7, 15]


def test_every_field_of_the_chip_has_its_place() -> None:
    chip = {
        "i2c_address": 0x6A,
        "byte_85_once": True,
        "byte_85": 0x6C,
        "input_levels": "vcc",
        "watchdog": "long",
        "clock": "M2",
        "counter_0": 1000,
        "counter_1": 32,
        "count_match_slot": 10,
        "volatile_key_permission_slot": 4,
        "secure_boot": {
            "mode": "full-sig",
            "persistent": True,
            "random_nonce": True,
            "digest_slot": 8,
            "key_slot": 15,
        },
        "kdf_iv_loc": 9,
        "kdf_iv": "6976",
        "user_extra": 0x12,
        "power_on_self_test": True,
        "clear_health_failure": True,
        "kdf_aes": True,
        "io_protection_key_slot": 6,
        "ecdh_output": "encrypted",
        "kdf_output": "forbidden",
        "x509_format": "01020304",
    }
    zone = build({"chip": chip, "slots": ALL_SLOTS})
    assert zone[16:20].hex() == "6a00a16f"
    assert zone[52:68].hex() == "00ff0000001f001e" + "ffff000000010000"
    assert zone[68:76].hex() == "00841af8" + "09697600"
    assert zone[84:96].hex() == "126c5555ffff0f6d01020304"


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({}, "slots"),
        ({"slots": {"0-14": {}}}, "slots: slots 15 are not described"),
        ({"part": "ATECC608Z", "slots": ALL_SLOTS}, "part: must be one of"),
        ({"part": 608, "slots": ALL_SLOTS}, "part"),
        ({"chips": {}, "slots": ALL_SLOTS}, "chips: is not a known field"),
        ({"chip": 3, "slots": ALL_SLOTS}, "chip: must be a table"),
        ({"chip": {"adress": 0xC0}, "slots": ALL_SLOTS}, "chip.adress: is not a known field"),
        ({"chip": {"otp_mode": "read-only"}, "slots": ALL_SLOTS}, "chip.otp_mode: is not a known field"),
        ({"part": "ATECC508A", "chip": {"kdf_aes": True}, "slots": ALL_SLOTS}, "chip.kdf_aes: is not a known field"),
        ({"chip": {"i2c_address": 0x100}, "slots": ALL_SLOTS}, "chip.i2c_address: must be a whole number"),
        ({"chip": {"i2c_address": True}, "slots": ALL_SLOTS}, "chip.i2c_address"),
        ({"chip": {"i2c_address": "C0"}, "slots": ALL_SLOTS}, "chip.i2c_address"),
        ({"chip": {"counter_0": 2_097_152}, "slots": ALL_SLOTS}, "chip.counter_0"),
        ({"chip": {"kdf_iv": "69"}, "slots": ALL_SLOTS}, "chip.kdf_iv: must be 2 bytes"),
        ({"chip": {"kdf_iv": "6g76"}, "slots": ALL_SLOTS}, "chip.kdf_iv"),
        ({"chip": {"secure_boot": {"mode": "on"}}, "slots": ALL_SLOTS}, "chip.secure_boot.mode"),
        ({"chip": {"secure_boot": {"slot": 3}}, "slots": ALL_SLOTS}, "chip.secure_boot.slot"),
        ({"slots": {"16": {}}}, "slots.16: is not a slot"),
        ({"slots": {"-1": {}}}, "slots.-1"),
        ({"slots": {"3-": {}}}, "slots.3-"),
        ({"slots": {"5-3": {}}}, "slots.5-3: names no slot"),
        ({"slots": {"": {}}}, "slots.:"),
        ({"slots": {"\u0663": {}}}, "slots.\u0663"),
        ({"slots": {"0-15": {}, "3": {}}}, "slots.3: describes slot 3, but slots.0-15"),
        ({"slots": {"3": 1}}, "slots.3: must be a table"),
        ({"slots": {"3": {"privat": True}}}, "slots.3.privat: is not a known field"),
        ({"slots": {"3": {"private": 1}}}, "slots.3.private: must be true or false"),
        ({"slots": {"3": {"private": True, "read": "clear"}}}, "slots.3.read: is not a known field"),
        ({"slots": {"3": {"external_sign": True}}}, "slots.3.external_sign: is not a known field"),
        ({"slots": {"3": {"read": "encrypted"}}}, "slots.3.read_key: is missing"),
        ({"slots": {"3": {"write": "encrypted"}}}, "slots.3.write_key: is missing"),
        ({"slots": {"3": {"derive": "create"}}}, "slots.3.write_key: is missing"),
        ({"slots": {"3": {"write": "always", "derive": "roll"}}}, "slots.3.derive: is allowed only with"),
        ({"slots": {"3": {"derive_needs_mac": True}}}, "slots.3.derive_needs_mac: is allowed only together"),
        ({"slots": {"3": {"auth_key": 16}}}, "slots.3.auth_key"),
        ({"slots": {"3": {"purpose": 7}}}, "slots.3.purpose: must be a string"),
    ],
)
def test_a_wrong_field_is_named(document: dict[str, Any], key: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(document)
    assert key in caught.value.what
    assert caught.value.code == Code.CONFIG_ZONE_INVALID


def test_broken_toml_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match="line 2, column 1"):
        build_toml("part = 'ATECC608A'\n= 3\n")


@given(st.text())
def test_garbage_ends_in_the_one_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_toml(text)
    assert caught.value.code == Code.CONFIG_ZONE_INVALID


@pytest.mark.parametrize("cut", range(0, 1830, 61))
def test_a_truncated_file_is_refused(cut: int) -> None:
    text = (CONFIGS / "atecc608a-default.toml").read_text()
    assert cut < text.index("[slots.13-15]")
    with pytest.raises(UsageError):
        build_toml(text[:cut])


SLOT = st.fixed_dictionaries(
    {},
    optional={
        "key_type": st.sampled_from(["p256", "aes", "other"]),
        "read": st.sampled_from(["clear", "never"]),
        "read_key": st.integers(0, 15),
        "write": st.sampled_from(["always", "never", "while-invalid"]),
        "write_key": st.integers(0, 15),
        "verify_only": st.booleans(),
        "limited_use": st.booleans(),
        "lockable": st.booleans(),
        "req_random": st.booleans(),
        "auth_key": st.integers(0, 15),
        "pub_info": st.booleans(),
    },
)


@pytest.mark.slow
@given(st.lists(SLOT, min_size=16, max_size=16))
def test_built_zone_has_the_named_fields(slots: list[dict[str, Any]]) -> None:
    zone = ConfigZone(build({"slots": {str(number): fields for number, fields in enumerate(slots)}}))
    for slot, fields in zip(zone.slots, slots, strict=True):
        assert slot.slot_config.read == fields.get("read", "clear")
        assert slot.slot_config.write == fields.get("write", "never")
        assert slot.slot_config.read_key == fields.get("read_key", 15)
        assert slot.slot_config.write_key == fields.get("write_key", 15)
        assert slot.slot_config.no_mac == fields.get("verify_only", False)
        assert slot.slot_config.limited_use == fields.get("limited_use", False)
        assert KEY_TYPE[slot.key_config.key_type] == fields.get("key_type", "other")
        assert slot.key_config.lockable == fields.get("lockable", False)
        assert slot.key_config.req_random == fields.get("req_random", False)
        assert slot.key_config.pub_info == fields.get("pub_info", False)
        assert slot.key_config.req_auth == ("auth_key" in fields)
        assert slot.key_config.auth_key == fields.get("auth_key", 0)
        assert not slot.private


def test_the_part_decides_bytes_68_to_83() -> None:
    zones = {part: build({"part": part.value, "slots": ALL_SLOTS}) for part in Part}
    assert zones[Part.ATECC508A][68:84] == b"\xff" * 16
    assert {zone[68:84] for part, zone in zones.items() if part.is_608} == {bytes(16)}
