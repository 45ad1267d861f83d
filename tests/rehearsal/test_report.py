"""What a configuration leaves each slot able to do, found by trying it on a software chip."""

from __future__ import annotations

import pytest

from atcaprov import ConfigZone, UsageError
from atcaprov.config_zone.findings import Product
from atcaprov.rehearsal.rehearsal import Rehearsal, SlotRehearsal, rehearse
from atcaprov.rehearsal.report import slot_sentences
from tests.support.config_zones import PUBLISHED, published, with_slot


def rehearsed(zone: bytes) -> Rehearsal:
    return rehearse(ConfigZone(zone), Product(device_key_slot=None))


def by_slot(zone: bytes) -> tuple[SlotRehearsal, ...]:
    return rehearsed(zone).by_slot()


KEY_USES = {"given a new key by GenKey", "asked for its public key", "used to sign a loaded digest"}


def test_the_factory_configuration() -> None:
    """Slots 0 to 2 are keys, 3 is read under 4, 8 to 14 are free data, the others are unwritable secrets."""
    slots = by_slot(published("factory-608a"))
    for slot in (0, 1, 2):
        assert set(slots[slot].after) >= {*KEY_USES, "locked one by one"}
    assert "used for ECDH" not in slots[0].after
    assert "used for ECDH" in slots[1].after
    assert "read encrypted" in slots[3].after
    for slot in (8, 9, 10, 11, 12, 13, 14):
        assert set(slots[slot].after) >= {"read in clear", "written in clear", "locked one by one"}
    for slot in (4, 5, 6, 7, 15):
        assert not set(slots[slot].after) & {"read in clear", "written in clear", "read encrypted", "written encrypted"}
    assert "used for MAC" not in slots[6].after
    assert "used by CheckMac" in slots[6].after


@pytest.mark.slow
def test_permanent_key_aes_key_and_imported_private_key() -> None:
    slots = by_slot(published("cryptoauthtools-608"))
    assert set(slots[0].after) == {"asked for its public key", "used to sign a loaded digest", "used for ECDH"}
    assert slots[0].lost == ("given a new key by GenKey", "given a key by PrivWrite")
    assert set(slots[1].after) == {"asked for its public key", "used to sign inside"}
    assert set(slots[5].after) >= {"used for AES", "read encrypted", "written encrypted"}
    assert "used to verify signatures" in slots[11].after
    assert "given a key by PrivWrite" in by_slot(published("cal-reference-608"))[7].after


@pytest.mark.slow
def test_shifted_configuration_leaves_no_key() -> None:
    """The published mistake of 16 extra bytes: KeyConfig is not where the chip looks for it."""
    factory = published("factory-608a")
    shifted = factory[:84] + b"\xff" * 16 + factory[84:112]
    assert not any("given a new key by GenKey" in slot.before for slot in by_slot(shifted))


@pytest.mark.slow
def test_slot_sentences() -> None:
    sentences = slot_sentences(rehearsed(published("cryptoauthtools-608")))
    assert sentences[0] == (
        "Slot 0 can be asked for its public key; used to sign a loaded digest; used for ECDH."
        " No longer: given a new key by GenKey; given a key by PrivWrite."
    )
    private_of_another_type = published("factory-608a")[:126] + b"\x1d\x00"
    assert slot_sentences(rehearsed(private_of_another_type))[15] == "Slot 15 cannot be used."


def test_sentence_names_the_needs() -> None:
    sentence = slot_sentences(rehearsed(with_slot(3, 0x0081, 0x05B3)))[3]
    assert "used to sign a loaded digest (needs CheckMac with slot 5 right before)" in sentence


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_zone_can_be_rehearsed(name: str) -> None:
    first = by_slot(published(name))
    assert first == by_slot(published(name))
    assert [slot.slot for slot in first] == list(range(16))


@pytest.mark.parametrize("size", [0, 112, 127, 129])
def test_another_length_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match="128"):
        rehearsed(bytes(size))
