"""Pairwise testing: few rows, such that every two values of different columns appear together in at least one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

Row = dict[str, Any]
_Place = tuple[str, int]
_Pair = frozenset[_Place]


def all_pairs(columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Return rows, each with one value of every column, that cover all pairs of values of different columns.

    Greedy: a row begins with a pair that is missing, and each further column takes the value that adds most missing
    pairs. The same columns always give the same rows. A single column gives each of its values.
    """
    places = {name: [(name, number) for number in range(len(values))] for name, values in columns.items()}
    missing = dict.fromkeys(
        frozenset(pair)
        for one, other in combinations(places, 2)
        for pair in ((left, right) for left in places[one] for right in places[other])
    )
    rows = [] if len(places) != 1 else [[place] for place in next(iter(places.values()))]
    while missing:
        row = _row(list(places.values()), missing)
        rows.append(row)
        for pair in combinations(row, 2):
            missing.pop(frozenset(pair), None)
    return [{name: columns[name][number] for name, number in row} for row in rows]


def _row(columns: list[list[_Place]], missing: Mapping[_Pair, None]) -> list[_Place]:
    first = next(iter(missing))
    row = sorted(first)
    begun = {name for name, _ in row}
    for places in columns:
        if places[0][0] not in begun:
            row.append(max(places, key=lambda place: sum(frozenset((place, other)) in missing for other in row)))
    return row
