from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import ConfigZone, Part, UsageError
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.diff import diff, differing_bytes
from tests.support.config_zones import changed, published, with_slot

NOT_COMPARED = [*range(16), *range(84, 88)]


@pytest.mark.parametrize("byte", range(128))
def test_every_compared_byte_counts(byte: int) -> None:
    other = bytearray(DEFAULT_608A)
    other[byte] ^= 0xFF
    assert differing_bytes(DEFAULT_608A, bytes(other)) == ([] if byte in NOT_COMPARED else [byte])


@pytest.mark.parametrize("part", Part)
@pytest.mark.parametrize("byte", range(128))
def test_every_byte_that_matters_has_a_name(byte: int, part: Part) -> None:
    other = bytearray(DEFAULT_608A)
    other[byte] ^= 0x01
    found = diff(ConfigZone(DEFAULT_608A), ConfigZone(bytes(other)), part)
    assert len(found) == (0 if byte in {*range(16), 86, 87} else 1)


def test_a_slot_is_compared_in_words() -> None:
    (found,) = diff(ConfigZone(DEFAULT_608A), ConfigZone(with_slot(0, 0x2085, 0x0033)), Part.ATECC608A)
    assert str(found) == "byte 20: slot 0 SlotConfig 0085 -> 2085"
    assert "fixed" in found.before_meaning
    assert "replaced by GenKey" in found.after_meaning


def test_differences_follow_the_bytes() -> None:
    found = diff(ConfigZone(published("factory-608a")), ConfigZone(published("cryptoauthtools-608")), Part.ATECC608A)
    places = [each.byte for each in found]
    assert places == sorted(places)
    assert {16, 19, 70, 73, 90} < set(places)


def test_byte_17_has_no_words() -> None:
    (found,) = diff(ConfigZone(DEFAULT_608A), ConfigZone(changed((17, "01"))), Part.ATECC608A)
    assert (found.field, found.before, found.after) == ("reserved", "00", "01")


@given(st.binary(min_size=128, max_size=128))
def test_a_zone_equals_itself(data: bytes) -> None:
    assert differing_bytes(data, data) == []
    assert diff(ConfigZone(data), ConfigZone(data), Part.ATECC608A) == []


def test_lengths_are_checked() -> None:
    with pytest.raises(UsageError):
        differing_bytes(DEFAULT_608A, bytes(112))
