"""Figures of the benchmarks: printed as a table, and kept in benchmarks.json as a list of name, value, unit, note."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

REPORT = Path(__file__).parents[2] / "benchmarks.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured or counted value."""

    name: str
    value: float
    unit: str
    note: str = ""


def report(*figures: Figure, path: Path = REPORT) -> None:
    """Print the figures and put them into the report; a figure of the same name is replaced."""
    for figure in figures:
        print(f"\n{figure.name:<36} {figure.value:>12,.1f} {figure.unit:<12} {figure.note}", end="")
    print()
    names = {figure.name for figure in figures}
    kept = [figure for figure in read_figures(path) if figure.name not in names]
    entries = [asdict(figure) for figure in sorted([*kept, *figures], key=lambda figure: figure.name)]
    path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def read_figures(path: Path) -> list[Figure]:
    """Return what `report` has put into a file; nothing if there is none."""
    if not path.exists():
        return []
    return [Figure(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
