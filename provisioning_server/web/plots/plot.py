"""A plot: shapes in a field of 1000 by 100, the texts around it, and the table that says the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000.0
HEIGHT: Final = 100.0
_STEPS: Final = (1, 2, 4, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled rectangle; `kind` gives it its colour, `text` says what it stands for."""

    x: str
    y: str
    width: str
    height: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class PlotLine:
    """A line through points (`x,y x,y ...`); `kind` gives it its colour and its dashes."""

    points: str
    kind: str


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn and said. `key` is the id of the plot in its page, `upright` the texts of the axis from the top."""

    key: str
    title: str
    summary: str
    upright: tuple[str, str, str]
    along: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[Bar, ...] = ()
    lines: tuple[PlotLine, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    """Kind and name of each colour, if there are several."""


def top_of(values: Sequence[float]) -> int:
    """Return where an axis from 0 ends: an even number of at least 2 that has one digit before its zeros, or 10."""
    most = max((2.0, *values))
    power = 10 ** math.floor(math.log10(most))
    return next(int(top) for step in _STEPS if (top := step * power) >= most and top % 2 == 0 and top >= most)


def number(value: float) -> str:
    """Return a coordinate as it is written."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def stacked(values: Sequence[Sequence[tuple[str, int, str]]], top: float) -> tuple[Bar, ...]:
    """Return bars beside each other, each of parts (kind, value, text) above each other; `top` is full height."""
    step, gap = WIDTH / max(1, len(values)), 0.16
    found = []
    for place, parts in enumerate(values):
        below = 0
        for kind, value, text in parts:
            if value:
                x, y = (place + gap / 2) * step, HEIGHT * (1 - (below + value) / top)
                width, height = step * (1 - gap), HEIGHT * value / top
                found.append(Bar(number(x), number(y), number(width), number(height), kind, text))
            below += value
    return tuple(found)


def connected(values: Sequence[float | None], bottom: float, top: float, kind: str) -> tuple[PlotLine, ...]:
    """Return lines through the middles of equal columns, with a gap where there is no value."""
    step, lines, run = WIDTH / max(1, len(values)), list[PlotLine](), list[str]()
    for place, value in enumerate((*values, None)):
        if value is not None:
            y = HEIGHT * (1 - (value - bottom) / (top - bottom))
            # A value with no neighbour is drawn too: as a stroke over its column.
            run.append(f"{number((place + 0.2) * step)},{number(y)} {number((place + 0.8) * step)},{number(y)}")
        elif run:
            lines.append(PlotLine(" ".join(run), kind))
            run = []
    return tuple(lines)
