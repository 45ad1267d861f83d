from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import ConfigZone, Part
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.explain import explain_fields, explain_slot
from tests.support.config_zones import changed, with_slot, zone_of

# The decoding of published tables by people: config zones of the vendor's examples, slot by slot.
WORDS = {
    ("atmel8970-508a", 0): (
        "P-256 private key: external signatures, internal signatures, ECDH into slot 1; replaced by GenKey; lockable"
    ),
    ("atmel8970-508a", 1): (
        "secret; read encrypted under slot 4; written encrypted under slot 4; random nonce required"
    ),
    ("atmel8970-508a", 6): "secret; never read; never written; only verifies (NoMac)",
    ("atmel8970-508a", 7): "P-256 private key: internal signatures; replaced by GenKey; lockable",
    ("atmel8970-508a", 10): "data, 72 bytes; clear read; always writable; lockable",
    ("cryptoauthtools-608", 0): ("P-256 private key: external signatures, ECDH in clear; fixed; random nonce required"),
    ("cryptoauthtools-608", 5): ("AES key; read encrypted under slot 6; written encrypted under slot 6; lockable"),
    ("cryptoauthtools-608", 9): "AES key; never read; always writable; KDF may write it",
    ("cryptoauthtools-608", 13): "P-256 public key; clear read; always writable; lockable",
    ("cryptoauthtools-608", 14): "P-256 public key validated by slot 13; clear read; writable while invalid",
    ("cal-reference-608", 3): (
        "secret; read encrypted under slot 4; written encrypted under slot 4; DeriveKey from slot 4 with a MAC"
    ),
    ("cal-reference-608", 5): (
        "AES key; clear read; always writable; KDF may write it; disabled while the latch is 0; lockable"
    ),
    ("cal-reference-608", 7): (
        "P-256 private key: external signatures, internal signatures; "
        "replaced by GenKey or by PrivWrite under slot 4; lockable"
    ),
    ("cal-reference-608", 9): (
        "secret; read encrypted under slot 4; written encrypted under slot 4; DeriveKey from itself"
    ),
    ("factory-608a", 15): "secret; never read; never written; limited use",
}


@pytest.mark.parametrize(("name", "slot"), WORDS)
def test_published_slots_in_words(name: str, slot: int) -> None:
    assert explain_slot(zone_of(name).slots[slot]) == WORDS[name, slot]


@pytest.mark.parametrize(
    ("slot_config", "key_config", "words"),
    [
        (0x0F4F, 0x003C, "data, 72 bytes; unreadable (illegal); always writable; lockable"),
        (0x0F0F, 0x002C, "data of KeyType 3 (reserved); clear read; always writable; lockable"),
        (0x0080, 0x001F, "private key of KeyType 7 (unusable): no use; fixed"),
        (0x0081, 0x0191, "P-256 private key: external signatures; fixed; public key hidden; authorized by slot 1"),
    ],
)
def test_strange_slots_in_words(slot_config: int, key_config: int, words: str) -> None:
    assert explain_slot(ConfigZone(with_slot(13, slot_config, key_config)).slots[13]) == words


def test_a_sealed_slot_is_shown_as_sealed() -> None:
    assert explain_slot(ConfigZone(changed((88, "FFDF"))).slots[13]).endswith("; sealed")


def meanings(zone: ConfigZone, part: Part = Part.ATECC608A) -> dict[str, str]:
    return {field.name: field.meaning for field in explain_fields(zone, part)}


def test_the_fields_of_a_608() -> None:
    found = meanings(zone_of("cryptoauthtools-608"))
    assert found["I2C_Address"] == "address 6A (7-bit 0x35)"
    assert found["ChipMode"].startswith("byte 85, once set, is the I2C address")
    assert found["SecureBoot"] == "FullDig, digest slot 7, key slot 15"
    assert found["ChipOptions"] == "IO protection key in slot 6, KDF with AES, health failure clears itself"


def test_the_fields_of_the_vendor_reference() -> None:
    found = meanings(zone_of("cal-reference-608"))
    assert found["CountMatch"] == "on, limit in slot 10"
    assert found["VolatileKeyPermission"] == "on with slot 4"


def test_the_fields_of_a_508a() -> None:
    found = meanings(zone_of("atmel8970-508a"), Part.ATECC508A)
    assert found["OTPmode"] == "OTP read-only"
    assert "LastKeyUse" in found
    assert "SecureBoot" not in found


def test_every_enabled_feature_is_explained() -> None:
    zone = ConfigZone(changed((19, "6E"), (68, "5A"), (70, "1BF7"), (88, "FEFF"), (90, "0167"), (92, "11")))
    found = meanings(zone)
    assert found["ChipMode"] == "input levels follow VCC, watchdog 10 s, clock M2"
    assert found["UseLock"] == "on for slot 5"
    assert found["SecureBoot"] == "FullDig, digest slot 7, key slot 15, sets the latch, random nonce required"
    assert found["SlotLocked"] == "sealed: 0"
    assert found["ChipOptions"] == "power-on self test, ECDH output forbidden, KDF output encrypted only"
    assert found["X509format"] == "certificate form checked"


def test_the_fields_cover_the_writable_zone_but_slots_and_byte_17() -> None:
    for part in Part:
        covered = {
            field.byte + index
            for field in explain_fields(ConfigZone(DEFAULT_608A), part)
            for index in range(len(field.value) // 2)
        }
        assert set(range(16, 96)) - set(range(20, 52)) - {17, 86, 87} == covered


@given(st.binary(min_size=128, max_size=128), st.sampled_from(Part))
def test_every_zone_can_be_explained(data: bytes, part: Part) -> None:
    zone = ConfigZone(data)
    assert all(field.meaning for field in explain_fields(zone, part))
    assert all(explain_slot(slot) for slot in zone.slots)
