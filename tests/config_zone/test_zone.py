from __future__ import annotations

import dataclasses

import pytest

from atcaprov import Code, ConfigZone, UsageError
from atcaprov.config_zone.slot import DeriveRule, KeyConfig, ReadRule, SlotConfig, WriteRule
from tests.support.config_zones import LOCK_EXAMPLE, PUBLISHED, zone_of

WRITE_RULES = {"0000": WriteRule.ALWAYS, "0001": WriteRule.WHILE_INVALID}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_slot_is_read_as_its_source_decodes_it(name: str) -> None:
    for slot, expected in zip(zone_of(name).slots, PUBLISHED[name]["slots"], strict=True):
        found = {
            "slot": slot.number,
            "slot_config": f"{slot.slot_config.value:04x}",
            "key_config": f"{slot.key_config.value:04x}",
            "read_key": slot.slot_config.read_key,
            "no_mac": slot.slot_config.no_mac,
            "limited_use": slot.slot_config.limited_use,
            "encrypt_read": slot.slot_config.encrypt_read,
            "is_secret": slot.slot_config.is_secret,
            "write_key": slot.slot_config.write_key,
            "write_config": f"{slot.slot_config.write_config:04b}",
            "private": slot.key_config.private,
            "pub_info": slot.key_config.pub_info,
            "key_type": slot.key_config.key_type,
            "lockable": slot.key_config.lockable,
            "req_random": slot.key_config.req_random,
            "req_auth": slot.key_config.req_auth,
            "auth_key": slot.key_config.auth_key,
            "bit12": slot.key_config.persistent_disable,
            "x509id": slot.key_config.x509_id,
        }
        assert found == expected


@pytest.mark.parametrize(
    ("nibble", "write", "derive", "needs_mac"),
    [
        (0b0000, WriteRule.ALWAYS, DeriveRule.OFF, False),
        (0b0001, WriteRule.WHILE_INVALID, DeriveRule.OFF, False),
        (0b0010, WriteRule.NEVER, DeriveRule.ROLL, False),
        (0b0011, WriteRule.NEVER, DeriveRule.CREATE, False),
        (0b0100, WriteRule.ENCRYPTED, DeriveRule.OFF, False),
        (0b0101, WriteRule.ENCRYPTED, DeriveRule.OFF, False),
        (0b0110, WriteRule.ENCRYPTED, DeriveRule.ROLL, False),
        (0b0111, WriteRule.ENCRYPTED, DeriveRule.CREATE, False),
        (0b1000, WriteRule.NEVER, DeriveRule.OFF, True),
        (0b1011, WriteRule.NEVER, DeriveRule.CREATE, True),
        (0b1111, WriteRule.ENCRYPTED, DeriveRule.CREATE, True),
    ],
)
def test_write_config_by_command(nibble: int, write: WriteRule, derive: DeriveRule, needs_mac: bool) -> None:
    config = SlotConfig(nibble << 12)
    assert (config.write, config.derive, config.derive_needs_mac) == (write, derive, needs_mac)


@pytest.mark.parametrize(
    ("value", "rule"),
    [(0x00, ReadRule.CLEAR), (0x40, ReadRule.ILLEGAL), (0x80, ReadRule.NEVER), (0xC0, ReadRule.ENCRYPTED)],
)
def test_reads_follow_is_secret_and_encrypt_read(value: int, rule: ReadRule) -> None:
    assert SlotConfig(value).read is rule


def test_fields_of_a_published_608_zone() -> None:
    zone = zone_of("cryptoauthtools-608")
    assert zone.i2c_address == 0x6A
    assert zone.chip_mode.user_extra_address
    assert (zone.secure_boot.mode, zone.secure_boot.digest_slot, zone.secure_boot.key_slot) == (3, 7, 15)
    assert zone.kdf_iv == bytes.fromhex("006976")
    assert (zone.chip_options.io_protection, zone.chip_options.io_key_slot) == (True, 6)
    assert zone.chip_options.kdf_aes
    assert zone.chip_options.clear_health_failure


def test_fields_of_the_vendor_reference() -> None:
    zone = zone_of("cal-reference-608")
    assert (zone.count_match_enabled, zone.count_match_slot) == (True, 10)
    assert (zone.volatile_key_permission_enabled, zone.volatile_key_permission & 0xF) == (True, 4)
    assert (zone.secure_boot.mode, zone.secure_boot.digest_slot, zone.secure_boot.key_slot) == (3, 12, 11)
    assert zone.chip_options.io_key_slot == 4


def test_a_zone_read_from_a_chip() -> None:
    zone = ConfigZone(bytes.fromhex(LOCK_EXAMPLE["config_zone"]))
    assert zone.serial_number.hex().upper() == "01234038D92CA571EE"
    assert zone.revision == bytes.fromhex("00006002")
    assert not zone.config_locked
    assert not zone.data_locked
    assert zone.slot_locked == 0xFFFF


@pytest.mark.parametrize("length", [0, 1, 16, 112, 127, 129, 144, 219])
def test_only_128_bytes_are_a_zone(length: int) -> None:
    with pytest.raises(UsageError, match=f"this one has {length}") as caught:
        ConfigZone(bytes(length))
    assert caught.value.code == Code.CONFIG_ZONE_INVALID


def test_a_zone_cannot_be_changed() -> None:
    source = bytearray(128)
    zone = ConfigZone(bytes(source))
    source[16] = 0xC0
    assert zone.i2c_address == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        zone.data = bytes(128)  # type: ignore[misc]


@pytest.mark.parametrize("word", [SlotConfig, KeyConfig])
@pytest.mark.parametrize("value", [-1, 0x10000])
def test_words_have_16_bits(word: type[SlotConfig] | type[KeyConfig], value: int) -> None:
    with pytest.raises(UsageError):
        word(value)
