"""Draw the sequence charts of this folder: each `NAME.txt` gives `NAME.svg`.

    python docs/drawings/draw.py            write the drawings
    python docs/drawings/draw.py --check    exit code 1 if one is not what its text gives

The text, line by line: `== title` begins a chart, `lanes: Name (what) | ...` names its columns, `-- heading` begins a
part. A step is an arrow or a note: `A -> B: text` is a request, `A --> B: text` an answer, `A => B: text` is
permanent, `A: text` happens inside A. Lines that begin with `#` are comments.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

WIDTH: Final = 800
MARGIN: Final = 16
LINE: Final = 16
"""Height of a line of text."""
CHARACTER: Final = 6.6
"""Mean width of a character of 12 pixels, on the safe side."""
STEP: Final = re.compile(r"(?P<source>\w+)(?: (?P<arrow>->|-->|=>) (?P<target>\w+))?: (?P<text>.+)")
LANE: Final = re.compile(r"(\w+) \(([^)]+)\)")

STYLE: Final = """
svg { --paper: #fff; --ink: #1f2328; --soft: #59636e; --faint: #8c959f; --box: #f2f4f7; --go: #0a58ca; --lock: #b42318 }
@media (prefers-color-scheme: dark) {
  svg { --paper: #16181c; --ink: #eee; --soft: #a8b0ba; --faint: #7d8590; --box: #262b33; --go: #79b8ff; --lock: #f88 }
}
text { font: 12px system-ui, sans-serif; fill: var(--ink); text-anchor: middle }
.title { font-size: 16px; font-weight: 600; text-anchor: start }
.name { font-weight: 600; font-size: 13px }
.what { fill: var(--soft); font-size: 11px }
.part { text-anchor: start; font-weight: 600; font-size: 11px }
.paper { fill: var(--paper) }
.box { fill: var(--box); stroke: var(--faint); stroke-width: .6 }
.lane, .rule { stroke: var(--faint); stroke-width: .8; stroke-dasharray: 2 4 }
.rule { stroke-dasharray: none; stroke-width: .5 }
.arrow { stroke: var(--go); stroke-width: 1.4 }
.answer { stroke-dasharray: 6 3 }
.permanent { stroke: var(--lock); stroke-width: 3 }
.locks { fill: var(--lock); font-weight: 600 }
.label { paint-order: stroke; stroke: var(--paper); stroke-width: 4px }
"""
HEAD: Final = (
    '<marker id="{0}" viewBox="0 0 10 10" refX="9" refY="5" markerUnits="userSpaceOnUse" markerWidth="11" '
    'markerHeight="11" orient="auto"><path d="M0 1 10 5 0 9z" fill="var(--{1})"/></marker>'
)


@dataclass(frozen=True)
class Step:
    """An arrow from `source` to `target`, or what happens inside `source`."""

    source: str
    arrow: str
    target: str
    text: str


@dataclass
class Chart:
    """One sequence chart; `rows` are steps and the headings of parts."""

    title: str
    lanes: dict[str, str] = field(default_factory=dict)
    rows: list[Step | str] = field(default_factory=list)


def parse(text: str) -> list[Chart]:
    """Return the charts of a text. Raises ValueError for any other line."""
    charts: list[Chart] = []
    for line in (line for line in text.splitlines() if line and not line.startswith("#")):
        if line.startswith("== "):
            charts.append(Chart(line.removeprefix("== ")))
        elif line.startswith("lanes: "):
            charts[-1].lanes = dict(LANE.findall(line))
        elif line.startswith("-- "):
            charts[-1].rows.append(line.removeprefix("-- "))
        else:
            charts[-1].rows.append(_step(line, charts[-1].lanes))
    return charts


def _step(line: str, lanes: dict[str, str]) -> Step:
    found = STEP.fullmatch(line)
    if found is None or not {found["source"], found["target"] or found["source"]} <= set(lanes):
        raise ValueError(f"not a step between lanes: {line}")
    return Step(found["source"], found["arrow"] or "", found["target"] or "", found["text"])


class Canvas:
    """Draws charts below each other."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._y = MARGIN

    def svg(self, charts: list[Chart]) -> str:
        """Return the drawing."""
        for chart in charts:
            self._draw(chart)
        heads = HEAD.format("go", "go") + HEAD.format("lock", "lock")
        titles = escape("; ".join(chart.title for chart in charts))
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self._y}" width="{WIDTH}" role="img">'
        paper = f'<rect class="paper" width="{WIDTH}" height="{self._y}" rx="8"/>'
        lines = [head, f"<title>{titles}</title>", f"<style>{STYLE}</style>", f"<defs>{heads}</defs>", paper]
        return "\n".join([*lines, *self._parts, "</svg>", ""])

    def _draw(self, chart: Chart) -> None:
        gap = (WIDTH - 2 * MARGIN) / len(chart.lanes)
        centers = {lane: round(MARGIN + gap * (n + 0.5)) for n, lane in enumerate(chart.lanes)}
        self._text("title", MARGIN, self._y + 18, chart.title)
        self._y += 34
        for lane, what in chart.lanes.items():
            self._box(centers[lane], self._y, round(gap) - 14, 38)
            self._text("name", centers[lane], self._y + 16, lane)
            self._text("what", centers[lane], self._y + 31, what)
        self._y += 38
        place, top = len(self._parts), self._y
        for row in chart.rows:
            if isinstance(row, str):
                self._heading(row)
            elif row.arrow:
                self._arrow(row, centers)
            else:
                self._note(row, centers[row.source], round(gap))
        self._y += 14
        lanes = (f'<line class="lane" x1="{x}" y1="{top}" x2="{x}" y2="{self._y}"/>' for x in centers.values())
        self._parts[place:place] = lanes  # under everything else
        self._y += MARGIN

    def _heading(self, text: str) -> None:
        self._y += 14
        self._parts.append(f'<line class="rule" x1="{MARGIN}" y1="{self._y}" x2="{WIDTH - MARGIN}" y2="{self._y}"/>')
        self._text("part label", MARGIN, self._y + 14, text)
        self._y += 16

    def _arrow(self, step: Step, centers: dict[str, int]) -> None:
        start, end = centers[step.source], centers[step.target]
        permanent = step.arrow == "=>"
        for line in _wrapped(step.text, abs(end - start) - 16):
            self._y += LINE
            self._text("label locks" if permanent else "label", (start + end) // 2, self._y, line)
        self._y += 9
        kind = {"->": "", "-->": " answer", "=>": " permanent"}[step.arrow]
        inset = 4 if end > start else -4
        self._parts.append(
            f'<line class="arrow{kind}" x1="{start + inset}" y1="{self._y}" x2="{end - inset}" y2="{self._y}" '
            f'marker-end="url(#{"lock" if permanent else "go"})"/>'
        )
        self._y += 3

    def _note(self, step: Step, center: int, gap: int) -> None:
        width = gap - 8
        lines = list(_wrapped(step.text, width - 14))
        self._y += 9
        self._box(center, self._y, width, LINE * len(lines) + 8)
        for line in lines:
            self._y += LINE
            self._text("", center, self._y, line)
        self._y += 10

    def _box(self, center: int, top: int, width: int, height: int) -> None:
        left = center - width // 2
        self._parts.append(f'<rect class="box" x="{left}" y="{top}" width="{width}" height="{height}" rx="5"/>')

    def _text(self, kind: str, x: int, y: int, text: str) -> None:
        named = f' class="{kind}"' if kind else ""
        self._parts.append(f'<text{named} x="{x}" y="{y}">{escape(text)}</text>')


def _wrapped(text: str, width: float) -> Iterator[str]:
    yield from textwrap.wrap(text, int(width / CHARACTER), break_long_words=False)


def main(arguments: list[str]) -> int:
    """Write the drawings, or check them; return the exit code."""
    wrong = 0
    for source in sorted(Path(__file__).parent.glob("*.txt")):
        drawn, target = Canvas().svg(parse(source.read_text("utf-8"))), source.with_suffix(".svg")
        if "--check" not in arguments:
            target.write_text(drawn, encoding="utf-8")
        elif not target.exists() or target.read_text("utf-8") != drawn:
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
