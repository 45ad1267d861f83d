"""Rates and token buckets, with a clock that the test moves in any direction."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import UsageError
from provisioning_server.orders.rates import Rate, TokenBucket


@pytest.mark.parametrize(
    ("text", "rate"), [("1/s", Rate(1, 1)), ("60/m", Rate(60, 60)), ("999999/h", Rate(999_999, 3600))]
)
def test_rate_is_read_and_written(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate
    assert str(rate) == text


@pytest.mark.parametrize(
    "text", ["", "0/m", "60", "60/d", "1000000/s", "-1/s", "1.5/s", "60/m ", "６０/m", "60 /m", "none"]
)
def test_what_is_not_a_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a rate such as"):
        Rate.parse(text)


@given(st.text())
def test_any_text_is_a_rate_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert str(Rate.parse(text)) == text


def _taken(bucket: TokenBucket, now: float) -> bool:
    bucket.fill(now)
    if bucket.wait(1.0) > 0.0:
        return False
    bucket.take()
    return True


RATES = st.builds(Rate, st.integers(1, 50), st.sampled_from([1, 60, 3600]))


@given(RATES, st.lists(st.floats(0, 100), max_size=200))
def test_no_more_than_a_bucketful_and_the_rate_goes_through(rate: Rate, pauses: list[float]) -> None:
    bucket, now, taken = TokenBucket(rate, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += _taken(bucket, now)
    assert taken <= rate.number + now * rate.number / rate.seconds + 0.01


@given(RATES, st.floats(-1e9, 1e9))
def test_who_waits_as_long_as_he_is_told_is_served(rate: Rate, start: float) -> None:
    bucket, now = TokenBucket(rate, start), start
    for _ in range(rate.number):
        assert _taken(bucket, now)
    for _ in range(5):
        bucket.fill(now)
        wait = bucket.wait(1.0)
        assert 0.0 < wait <= rate.seconds / rate.number + 1e-3
        now += wait
        assert _taken(bucket, now)


@given(RATES, st.lists(st.floats(-1e6, 1e6), max_size=50))
def test_clock_that_steps_back_gives_nothing_and_takes_nothing(rate: Rate, steps: list[float]) -> None:
    bucket, now, forward, taken = TokenBucket(rate, 0.0), 0.0, 0.0, 0
    for step in steps:
        now += step
        forward += max(0.0, step)
        bucket.fill(now)
        before = bucket.share
        bucket.fill(now - 5.0)
        assert bucket.share == before
        bucket.fill(now - 5.0)
        now -= 5.0
        taken += _taken(bucket, now)
    assert taken <= rate.number + forward * rate.number / rate.seconds + 0.01


def test_clock_that_steps_far_ahead_fills_the_bucket_no_more() -> None:
    bucket = TokenBucket(Rate(3, 60), 0.0)
    assert [_taken(bucket, 0.0) for _ in range(4)] == [True, True, True, False]
    assert [_taken(bucket, 1e15) for _ in range(4)] == [True, True, True, False]
