from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import UsageError
from atcaprov.config_zone.zone_fields import COUNTER_MAX, COUNTER_ZERO, decode_counter, encode_counter
from tests.support.config_zones import COUNTERS


@pytest.mark.parametrize(("value", "stored"), COUNTERS)
def test_known_counts(value: int, stored: bytes) -> None:
    assert encode_counter(value) == stored
    assert decode_counter(stored) == value


@given(st.integers(0, COUNTER_MAX))
def test_every_count_comes_back(value: int) -> None:
    assert decode_counter(encode_counter(value)) == value


@pytest.mark.parametrize("stored", [bytes(8), b"\xff" * 8, bytes.fromhex("AAAAFFFF00000000")])
def test_invalid_counter_patterns(stored: bytes) -> None:
    assert decode_counter(stored) is None


@pytest.mark.parametrize("value", [-1, COUNTER_MAX + 1])
def test_a_counter_ends(value: int) -> None:
    with pytest.raises(UsageError):
        encode_counter(value)


def test_zero_is_the_factory_value() -> None:
    assert encode_counter(0) == COUNTER_ZERO
