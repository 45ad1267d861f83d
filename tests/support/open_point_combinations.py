"""Combinations of values of the open points under which a flow has to work.

The points that a flow reads are recorded while it runs; the values of a point follow from its type. So a new point
is tried with every flow that reads it, and `values_of` raises for a point whose values it cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import product
from types import MappingProxyType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import pytest

from atcaprov.chip.commands import Opcode, Status
from atcaprov.emulator.open_points import OpenPoints
from tests.support.pairwise import Row, all_pairs
from tests.support.scripted_hal import ScriptedHal

POINTS: Final = {field.name: field.default for field in fields(OpenPoints)}
"""The open points with their defaults."""
CutPlace = tuple[int, bool]
"""The number of a command, and whether the chip has done it: then only its reply is lost."""
FULL_PRODUCT: Final = 6
"""With at most so many points all combinations are tried."""
_AT_ONCE: Final = 8
_TYPES: Final = get_type_hints(OpenPoints)
_REFUSALS: Final = (Status.EXECUTION_ERROR, Status.PARSE_ERROR, Status.ECC_FAULT)
_ALWAYS_IN_FULL: Final = ("authori", "data_open", "before_lock", "before_data", "checkmac_failure")


class TrackedPoints(OpenPoints):
    """Open points that record in `asked` which of them decided an answer, and print what differs from the defaults."""

    asked: set[str]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "asked", set())
        super().__init__(**values)

    def __getattribute__(self, name: str) -> Any:
        if name in POINTS:
            super().__getattribute__("asked").add(name)
        return super().__getattribute__(name)

    def __str__(self) -> str:
        values = {name: object.__getattribute__(self, name) for name in POINTS}
        changed = [f"{name}={values[name]!r}" for name, default in POINTS.items() if values[name] != default]
        return ", ".join(changed) or "defaults"


def values_of(name: str) -> list[Any]:
    """Return the values that an open point can have, the default first.

    Raises:
        TypeError: its type is unknown here.
    """
    kind, default = _TYPES[name], POINTS[name]
    if kind is bool:
        others: Iterable[Any] = (True, False)
    elif get_origin(kind) is Literal:
        others = get_args(kind)
    elif kind is int and isinstance(default, Status):
        others = _REFUSALS
    elif kind == frozenset[int]:
        others = (frozenset(), frozenset(Opcode))
    else:
        raise TypeError(f"no values are known for the open point '{name}' of type {kind}")
    return [default, *(value for value in others if value != default)]


def always_in_full(name: str) -> bool:
    """Tell from its name whether a point is about authorization or the states before the data lock."""
    return any(part in name for part in _ALWAYS_IN_FULL)


def combinations_of(points: Iterable[str], commands: int = 0) -> list[Row]:
    """Return the combinations to try: all of up to six points, else all pairs.

    Among many points, those of authorization and of the states before the data lock are one column: all combinations
    of them appear, each with each value of every other point. With `commands` the power is cut in each row at one of so
    many commands, before or after the chip ran it (`cut` in the row): each combination appears with some cut, and each
    cut with each value of every point.
    """
    values = {name: values_of(name) for name in sorted(points)}
    if len(values) <= FULL_PRODUCT:
        rows = _product(values)
    else:
        full = _product({name: values[name] for name in values if always_in_full(name)})
        columns = {"full": full, **{name: values[name] for name in values if not always_in_full(name)}}
        rows = [row.pop("full") | row for row in all_pairs(columns)]
    if not commands:
        return rows
    spread = [row | {"cut": (number * commands // len(rows), number % 2 == 1)} for number, row in enumerate(rows)]
    pairs = all_pairs({"number": range(commands), "lost": (False, True), **values})
    return spread + [row | {"cut": (row.pop("number"), row.pop("lost"))} for row in pairs]


def _product(values: dict[str, list[Any]]) -> list[Row]:
    return [dict(zip(values, row, strict=True)) for row in product(*values.values())]


@dataclass(frozen=True)
class Result:
    """One run of a flow: the values, where it was cut if it was, and what it raised."""

    reading: TrackedPoints
    cut: CutPlace | None
    error: BaseException | None

    def __str__(self) -> str:
        cut = "" if self.cut is None else f", cut {self.cut}"
        return f"{self.reading}{cut}: {self.error!r}"


def run_combinations(
    run: Callable[[TrackedPoints, Any], object], commands: int = 0, held: Mapping[str, Any] = MappingProxyType({})
) -> list[Result]:
    """Run a flow under the defaults, then under each combination of the points that it reads; return all results.

    A point that is read only under other values counts too: its combinations are run as well. The points in `held` have
    that value in all of them. `run` gets the open points and, with `commands`, the `CutPlace`.
    """
    first: Row = {"cut": (commands - 1, True)} if commands else {}  # the last one lets the flow read the most
    results = {_unlike_default(first): _result(run, **{**first, **held})}
    points: set[str] = set()
    while True:
        points |= {name for result in results.values() for name in result.reading.asked} - set(held)
        rows = {_unlike_default(row): {**row, **held} for row in combinations_of(points, commands)}
        new = {key: row for key, row in rows.items() if key not in results}
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # a command waits for other threads more than it computes
            results |= zip(new, pool.map(lambda row: _result(run, **row), new.values()), strict=True)
        if not any(result.reading.asked - set(held) - points for result in results.values()):
            return list(results.values())


def _unlike_default(row: Row) -> frozenset[Any]:
    return frozenset((name, value) for name, value in row.items() if name == "cut" or POINTS[name] != value)


def _result(run: Callable[[TrackedPoints, Any], object], cut: CutPlace | None = None, **values: Any) -> Result:
    reading = TrackedPoints(**values)
    try:
        run(reading, cut)
    except (Exception, pytest.fail.Exception) as error:
        return Result(reading, cut, error)
    return Result(reading, cut, None)


def chip_under(open_points: OpenPoints) -> ScriptedHal:
    """Return a blank chip with these values of the open points."""
    hal = ScriptedHal()
    hal.chip.chip.core.open_points = open_points  # type: ignore[attr-defined]
    return hal
