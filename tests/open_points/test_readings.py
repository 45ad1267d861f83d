"""The machinery of readings: what is recorded, which values are tried, and that all pairs are covered."""

from __future__ import annotations

from dataclasses import fields
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.chip.commands import Opcode, Status
from atcaprov.emulator.open_points import OpenPoints
from tests.support.chips import awake_chip, configured_memory, send
from tests.support.open_point_combinations import (
    POINTS,
    TrackedPoints,
    always_in_full,
    combinations_of,
    run_combinations,
    values_of,
)
from tests.support.pairwise import all_pairs


@given(st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 4), max_size=7))
def test_every_pair_of_values_is_in_a_row(sizes: dict[str, int]) -> None:
    columns = {name: [f"{name}{number}" for number in range(size)] for name, size in sizes.items()}
    rows = all_pairs(columns)
    assert all(list(row) and set(row) == set(columns) for row in rows)
    for one, other in combinations(columns, 2):
        assert {(row[one], row[other]) for row in rows} == set(product(columns[one], columns[other]))
    for name, values in columns.items():
        assert {row[name] for row in rows} == set(values)


def test_pairs_are_far_fewer_than_all_combinations() -> None:
    """Twelve points of two values: 4096 combinations; fewer than twenty rows hold all pairs."""
    assert len(all_pairs({str(number): (False, True) for number in range(12)})) < 20


@pytest.mark.parametrize("name", POINTS)
def test_each_open_point_has_a_default_and_another_value_that_the_chip_takes(name: str) -> None:
    values = values_of(name)
    assert values[0] == getattr(OpenPoints(), name)
    assert len(set(values)) == len(values) >= 2
    for value in values:
        assert getattr(OpenPoints(**{name: value}), name) == value


def test_values_follow_from_the_types() -> None:
    assert values_of("data_open_use") == [True, False]
    assert values_of("ecdh_odd_partner") == ["same", "next"]
    assert values_of("bad_block_code") == [Status.EXECUTION_ERROR, Status.PARSE_ERROR, Status.ECC_FAULT]
    assert values_of("limited_use_commands")[1:] == [frozenset(), frozenset(Opcode)]


def test_a_type_without_known_values_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POINTS, "new", "text")
    monkeypatch.setitem(values_of.__globals__["_TYPES"], "new", str)
    with pytest.raises(TypeError, match="'new'"):
        values_of("new")


def test_recorded_reads_of_an_open_point_are_noted() -> None:
    reading = TrackedPoints(bad_block_code=3)
    chip = awake_chip(configured_memory(), open_points=reading)
    send(chip, Opcode.INFO)
    assert reading.asked == set()
    assert send(chip, Opcode.READ, 0x80, 0x20).status == 3
    assert reading.asked == {"bad_block_code"}
    assert str(reading) == "bad_block_code=3"
    assert str(TrackedPoints()) == "defaults"


def test_many_points_are_tried_in_pairs_and_important_ones_in_full() -> None:
    assert len(combinations_of(["data_open_use", "kdf_needs_pub_info", "no_mac_stops_hmac"])) == 8
    names = [field.name for field in fields(OpenPoints)]
    full = [name for name in names if always_in_full(name)][:4]
    others = [name for name in names if not always_in_full(name)]
    rows = combinations_of([*full, *others])
    wanted = set(product(*(values_of(name) for name in full)))
    for other in others:
        for value in values_of(other):
            assert {tuple(row[name] for name in full) for row in rows if row[other] == value} == wanted
    assert len(rows) <= 4 * len(wanted)


def test_each_cut_is_tried_with_each_value() -> None:
    rows = combinations_of(["data_open_use", "bad_block_code"], 5)
    numbers = range(5)
    assert {row["cut"] for row in rows} == set(product(numbers, (False, True)))
    assert {(row["cut"][0], row["bad_block_code"]) for row in rows} == set(
        product(numbers, values_of("bad_block_code"))
    )
    assert {row["cut"] for row in combinations_of([], 5)} == set(product(numbers, (False, True)))


def test_point_that_only_another_reading_reaches_is_tried() -> None:
    def run(reading: TrackedPoints, _: Any) -> None:
        if not reading.data_open_use and not reading.kdf_needs_pub_info:
            raise ValueError("refused")

    results = run_combinations(run)
    assert {str(result.reading) for result in results} == {
        "defaults",
        "data_open_use=False",
        "kdf_needs_pub_info=False",
        "kdf_needs_pub_info=False, data_open_use=False",
    }
    (failed,) = [result for result in results if result.error is not None]
    assert str(failed) == "kdf_needs_pub_info=False, data_open_use=False: ValueError('refused')"
    held = run_combinations(run, held={"data_open_use": True})
    assert [str(result.reading) for result in held] == ["defaults"]
