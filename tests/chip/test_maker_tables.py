"""The maker's table of a TFLXTLS: what an order may choose, and nothing else, may differ."""

from __future__ import annotations

import pytest

from atcaprov.chip.maker_tables import TFLXTLS_TABLE
from atcaprov.chip.memory_map import KEY_CONFIG, SLOT_CONFIG
from atcaprov.config_zone.slot import WriteRule
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.emulator.images import load_image
from tests.chip.test_trust_parts import changed, published

LIVES = {*range(16), *range(52, 68), *range(84, 90)}
"""Serial number and the like, counters, UserExtra and its address, locks."""


def chosen_bits() -> set[tuple[int, int]]:
    """Return (byte, bit) that an order decides, written down from the data sheet's words once more."""
    bits = {(KEY_CONFIG + 2 * slot, 5) for slot in (2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 15)}  # lockable or not
    bits |= {(SLOT_CONFIG + 2 * slot + 1, 5) for slot in (2, 3, 4)}  # GenKey
    bits |= {(SLOT_CONFIG + 2 * slot + 1, bit) for slot in (5, 6, 8, 10, 11, 12, 13, 15) for bit in range(8)}
    return bits | {(KEY_CONFIG + 1, 4), (70, 3)}  # slot 0 after a secure boot; the latch


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_is_fixed_or_chosen_or_lives(bit: int) -> None:
    chosen = chosen_bits()
    for offset in range(128):
        other = changed(TFLXTLS_TABLE.config, {offset: TFLXTLS_TABLE.config[offset] ^ 1 << bit})
        may_differ = offset in LIVES or (offset, bit) in chosen
        assert TFLXTLS_TABLE.differing_bytes(other) == ([] if may_differ else [offset]), (offset, bit)


@pytest.mark.parametrize("image", ["tflxtls", "tflxtls-608a", "tflxtls-608c"])
def test_the_images_have_the_makers_table(image: str) -> None:
    assert load_image(image).config[16:] == TFLXTLS_TABLE.config[16:]


def test_a_published_tflxtls_has_the_makers_table() -> None:
    assert TFLXTLS_TABLE.differing_bytes(published("TFLXTLS")) == []


@pytest.mark.parametrize("name", ["TNGTLS", "early TNGTLS"])
def test_a_tngtls_has_another_table(name: str) -> None:
    assert TFLXTLS_TABLE.differing_bytes(published(name))


def test_permanent_slots_as_an_early_tngtls_has_them_are_among_what_an_order_chooses() -> None:
    """Its slots 10 to 12, in the table of a TFLXTLS."""
    early = published("early TNGTLS")
    places = [at + 2 * slot + low for at in (SLOT_CONFIG, KEY_CONFIG) for slot in (10, 11, 12) for low in (0, 1)]
    permanent = changed(TFLXTLS_TABLE.config, {place: early[place] for place in places})
    assert TFLXTLS_TABLE.differing_bytes(permanent) == []
    slots = ConfigZone(permanent).slots
    assert all(slots[number].slot_config.write is WriteRule.NEVER for number in (10, 11, 12))
    assert not any(slots[number].key_config.lockable for number in (10, 11, 12))
