"""What a configuration leaves each slot able to do, found by trying it on a software chip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from atcaprov.emulator.rehearsal import Ability, explain_rehearsal, rehearse

VECTORS: Final = Path(__file__).parent.parent / "vectors"
ZONES: Final = {
    zone["id"]: bytes(16) + bytes.fromhex(zone["bytes_16_127"])
    for zone in json.loads((VECTORS / "config-zones.json").read_text())["zones"]
}
KEY_USES: Final = {Ability.NEW_KEY, Ability.KEY_FROM_OUTSIDE, Ability.PUBLIC_KEY, Ability.SIGN, Ability.SIGN_INTERNAL}


def test_the_factory_configuration() -> None:
    """Slots 0 to 2 are keys, 3 is read under 4, 8 to 14 are free data, the others are secrets that nobody can write."""
    slots = rehearse(ZONES["factory-608a"])
    for slot in (0, 1, 2):
        assert slots[slot].after >= KEY_USES - {Ability.KEY_FROM_OUTSIDE} | {Ability.LOCK}
        assert slots[slot].lost == {Ability.KEY_FROM_OUTSIDE}
    assert Ability.ECDH not in slots[0].after
    assert Ability.ECDH in slots[1].after
    assert Ability.READ_ENCRYPTED in slots[3].after
    for slot in (8, 9, 10, 11, 12, 13, 14):
        assert slots[slot].after >= {Ability.READ, Ability.WRITE, Ability.LOCK}
    for slot in (4, 5, 6, 7, 15):
        assert not slots[slot].after & {Ability.READ, Ability.WRITE, Ability.READ_ENCRYPTED, Ability.WRITE_ENCRYPTED}
    assert Ability.MAC not in slots[6].after
    assert Ability.CHECK in slots[6].after


def test_a_permanent_key_an_aes_key_and_a_private_key_from_outside() -> None:
    slots = rehearse(ZONES["cryptoauthtools-608"])
    assert slots[0].after == {Ability.PUBLIC_KEY, Ability.SIGN, Ability.ECDH}
    assert slots[0].lost == {Ability.NEW_KEY, Ability.KEY_FROM_OUTSIDE}
    assert slots[1].after == {Ability.PUBLIC_KEY, Ability.SIGN_INTERNAL}
    assert slots[5].after >= {Ability.AES, Ability.READ_ENCRYPTED, Ability.WRITE_ENCRYPTED}
    assert Ability.VERIFY in slots[11].after
    assert Ability.VERIFY not in slots[14].after  # nobody has validated it
    assert Ability.KEY_FROM_OUTSIDE in rehearse(ZONES["cal-reference-608"])[7].after


def test_a_shifted_table_leaves_no_key() -> None:
    """The published mistake of 16 extra bytes: KeyConfig is not where the chip looks for it."""
    factory = ZONES["factory-608a"]
    shifted = factory[:84] + b"\xff" * 16 + factory[84:112]
    slots = rehearse(shifted)
    assert not any(Ability.NEW_KEY in slot.before for slot in slots)


def test_the_words() -> None:
    sentences = explain_rehearsal(rehearse(ZONES["cryptoauthtools-608"]))
    assert sentences[0] == (
        "Slot 0 can give its public key, sign messages from outside, agree on a secret."
        " No longer: make a new private key, take a private key from outside."
    )
    assert sentences[8] == "Slot 8 can be written in clear, be read in clear, be locked on its own."
    private_of_another_type = ZONES["factory-608a"][:126] + b"\x1d\x00"
    assert explain_rehearsal(rehearse(private_of_another_type))[15] == "Slot 15 can do nothing."


@pytest.mark.parametrize("name", ZONES)
def test_every_published_zone_can_be_rehearsed(name: str) -> None:
    first = rehearse(ZONES[name])
    assert first == rehearse(ZONES[name])
    assert [slot.slot for slot in first] == list(range(16))


@pytest.mark.parametrize("size", [0, 112, 127, 129])
def test_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="128"):
        rehearse(bytes(size))
