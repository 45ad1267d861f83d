"""Draw the map as one SVG file: system fonts, no scripts, light and dark, a title and a description for readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from atcaprov.chip_map.access import Access, Moment, Right
from atcaprov.chip_map.colours import style
from atcaprov.chip_map.markup import LINE_END, Markup, element, joined
from atcaprov.chip_map.model import ChipMap, FieldMap, SlotMap
from atcaprov.chip_map.references import Bond, Reference
from atcaprov.chip_map.text_width import fitted
from atcaprov.chip_map.words import change_sentence, description_of, slot_sentence

WIDTH: Final = 1240
_MARGIN: Final = 24
_BADGE: Final = 34
_BADGE_AND_SIGN: Final = 56
_NAME_X: Final = _MARGIN + _BADGE + 14
_NAME_WIDTH: Final = 378
_COLUMNS: Final = {Right.READ: (474, 176), Right.CHANGE: (662, 198), Right.USE: (872, 226)}
"""Left edge and width of the three columns."""
_ARCS_X: Final = 1112
_SQUARE: Final = 18
_STEP: Final = 23
_LINE: Final = 16
_SMALL: Final = 12
_BODY: Final = 13
_BOLD: Final = 14.2
_SMALL_BOLD: Final = 13.2
"""Sizes as which bold text of 13 and 12 pixels counts when its width is estimated."""
_PAD: Final = 9
_FIELD_COLUMNS: Final = (0, 172, 310)
_MEANING_WIDTH: Final = 264
_LONGEST_VALUE: Final = 16
"""Digits of a value that fit its column."""
_RING: Final = 5
_ARC_LANE: Final = 10
_BOND_SHAPES: Final = {Bond.ENCRYPTS: "", Bond.AUTHORIZES: "7 3", Bond.VALIDATES: "2 3", Bond.FILLS: "10 3 2 3"}
"""A pattern of dashes for each kind of reference, for those who do not see its colour."""

_STYLE: Final = style("svg", "drawing.css")


def svg_of(drawn: ChipMap) -> str:
    """Return the drawing as text in UTF-8 form, with a newline at its end."""
    canvas = _Canvas(drawn)
    body = [*canvas.heading(), *canvas.column_heads(), *canvas.rows(), *canvas.arcs(), *canvas.fields()]
    height = canvas.y + _MARGIN
    frame = element("rect", class_="paper", width=WIDTH, height=height, rx=10)
    return (
        element(
            "svg",
            LINE_END,
            element("title", f"Map of the chip: {drawn.title}", id="map-title"),
            element("desc", description_of(drawn), id="map-description"),
            LINE_END,
            element("style", Markup(_STYLE)),
            LINE_END,
            Markup("\n".join([frame, *body])),
            LINE_END,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH} {height:g}",
            width=WIDTH,
            height=height,
            role="img",
            aria_labelledby="map-title map-description",
        )
        + "\n"
    )


class _Canvas:
    """Draws from the top down; `y` is where the next part begins."""

    def __init__(self, drawn: ChipMap) -> None:
        self._map = drawn
        self._centers: dict[int, float] = {}
        self.y = float(_MARGIN)

    def heading(self) -> Iterator[Markup]:
        """Draw the title, the state of a real chip, what the map is compared with, and the legend."""
        self.y += 22
        for line in fitted(self._map.title, 25, WIDTH - 2 * _MARGIN):
            yield _text("title", _MARGIN, self.y, line)
        for line in filter(None, (str(self._map.part), self._map.state)):
            self.y += 22
            yield _text("soft", _MARGIN, self.y, *fitted(line, _BODY, WIDTH - 2 * _MARGIN))
        if self._map.against:
            self.y += 22
            mark = f"\u2260 differs from {self._map.against}"
            yield _text("unlike", _MARGIN, self.y, *fitted(mark, _BOLD, WIDTH - 2 * _MARGIN))
        self.y += 16
        yield from self._legend()

    def _legend(self) -> Iterator[Markup]:
        self.y += 6
        x = float(_MARGIN)
        for access in Access:
            yield _square(access, x, self.y)
            yield _text("small", x + _SQUARE + 7, self.y + 13, access.words)
            x += 56 + 6.4 * len(access.words)
        for number, moment in enumerate(Moment, start=1):
            yield _text("small soft", x, self.y + 13, f"{number} {moment.words}")
            x += 30 + 6.2 * len(moment.words)
        self.y += _SQUARE + 18
        yield _text("small soft", _MARGIN, self.y + 6, self._map.words_note)
        self.y += 22

    def column_heads(self) -> Iterator[Markup]:
        """Draw the heads of the columns, with the numbers of the four moments."""
        yield _text("head", _MARGIN, self.y + 14, "Slot")
        for right, (x, _) in _COLUMNS.items():
            yield _text("head", x, self.y + 14, right)
            for moment in Moment:
                center = x + _STEP * moment + _SQUARE / 2
                yield _text("moment", center, self.y + 30, str(moment + 1))
        if self._map.references:
            yield _text("head", _ARCS_X, self.y + 14, "Other slots")
        self.y += 38

    def rows(self) -> Iterator[Markup]:
        """Draw the 16 slots."""
        for slot in self._map.slots:
            yield self._row(slot)

    def _row(self, slot: SlotMap) -> Markup:
        lines = list(_name_lines(slot))
        cells = {right: _cell_lines(slot, right) for right in Right}
        under_squares = _SQUARE + 4 + max(_LINE * len(each) for each in cells.values())
        height = max(_LINE * len(lines), under_squares, _BADGE_AND_SIGN if slot.other else 0) + 2 * _PAD
        top = self.y
        self._centers[slot.number] = top + height / 2
        self.y += height + 4
        parts = [
            element("title", slot_sentence(slot, self._map)),
            element("rect", class_="row", x=_MARGIN, y=top, width=_ARCS_X - 14 - _MARGIN, height=height, rx=6),
            *_badge(slot, top, height),
            *(_text(kind, _NAME_X, top + _PAD + 12 + _LINE * n, text) for n, (kind, text) in enumerate(lines)),
        ]
        for right, texts in cells.items():
            parts += _cells(slot, right, texts, top + _PAD)
        return element("g", *parts, id=f"slot-{slot.number}", class_="changed" if slot.other else None)

    def arcs(self) -> Iterator[Markup]:
        """Draw an arc for each reference, from the slot that acts to the one that it acts on."""
        lanes = _lanes(self._map.references)
        for reference, lane in zip(self._map.references, lanes, strict=True):
            yield _arc(reference, self._centers[reference.source], self._centers[reference.target], lane)

    def fields(self) -> Iterator[Markup]:
        """Draw the legend of the arcs, and the settings of the whole zone in two columns."""
        self.y += 10
        yield from self._bonds()
        yield _text("head", _MARGIN, self.y + 14, "The whole chip")
        self.y += 26
        half = (len(self._map.fields) + 1) // 2
        ends = []
        for column, fields in enumerate((self._map.fields[:half], self._map.fields[half:])):
            y = self.y
            for field in fields:
                for line in _field_lines(field):
                    for (kind, text), x in zip(line, _FIELD_COLUMNS, strict=True):
                        yield _text(kind, _MARGIN + column * WIDTH / 2 + x, y + 12, text)
                    y += _LINE
                y += 4
            ends.append(y)
        self.y = max(ends)

    def _bonds(self) -> Iterator[Markup]:
        x = float(_MARGIN)
        for bond in self._map.bonds:
            line = f"M{x:g} {self.y + 10:g}h34"
            yield element("path", class_=f"arc {bond}", d=line, stroke_dasharray=_BOND_SHAPES[bond] or None)
            words = f"{bond}: {bond.words} the slot at the arrow"
            yield _text("small", x + 42, self.y + 14, words)
            x += 66 + 6.1 * len(words)
            if x > WIDTH - 400:
                x, self.y = float(_MARGIN), self.y + 20
        self.y += 32 if self._map.bonds else 0


def _text(kind: str, x: float, y: float, text: str = "") -> Markup:
    return element("text", text, class_=kind, x=x, y=y)


def _badge(slot: SlotMap, top: float, height: float) -> Iterator[Markup]:
    middle = top + height / 2
    yield element(
        "rect", class_="badge", x=_MARGIN + 8, y=middle - _BADGE / 2 + 2, width=_BADGE, height=_BADGE - 4, rx=6
    )
    yield _text("number", _MARGIN + 8 + _BADGE / 2, middle + 5, str(slot.number))
    if slot.other:
        yield element("rect", class_="mark", x=_MARGIN - 10, y=top, width=6, height=height, rx=2)
        yield _text("unlike sign", _MARGIN + 8 + _BADGE / 2, middle + 30, "\u2260")


def _name_lines(slot: SlotMap) -> Iterator[tuple[str, str]]:
    for line in fitted(slot.purpose or slot.kind, _BOLD, _NAME_WIDTH, 2):
        yield "name", line
    facts = [*([] if slot.size_is_told else [f"{slot.size} bytes"]), slot.kind if slot.purpose else slot.rules]
    for line in fitted("; ".join(filter(None, (*facts, *slot.roles))), _SMALL, _NAME_WIDTH, 2):
        yield "small soft", line
    if slot.content:
        for line in fitted(f"holds {slot.content}", _SMALL, _NAME_WIDTH):
            yield "small", line
    if slot.other:
        for line in fitted(change_sentence(slot), _SMALL_BOLD, _NAME_WIDTH, 2):
            yield "small unlike", line


def _cell_lines(slot: SlotMap, right: Right) -> list[str]:
    return fitted(slot.in_words(right), _SMALL, _COLUMNS[right][1], 3)


def _cells(slot: SlotMap, right: Right, texts: list[str], top: float) -> list[Markup]:
    left, _ = _COLUMNS[right]
    parts = []
    for moment in Moment:
        x = left + _STEP * moment
        cell = slot.access.cells[right][moment]
        parts.append(_square(cell.access, x, top))
        if slot.now is moment:
            parts.append(element("rect", class_="now", x=x - 2, y=top - 2, width=_SQUARE + 4, height=_SQUARE + 4, rx=5))
        if (right, moment) in slot.different:
            parts.append(_frame("unlike-square", x, top))
    parts += [_text("small", left, top + _SQUARE + 15 + _LINE * n, text) for n, text in enumerate(texts)]
    return parts


def _frame(kind: str, x: float, y: float) -> Markup:
    return element("rect", class_=kind, x=x - 2, y=y - 2, width=_SQUARE + 4, height=_SQUARE + 4, rx=5)


def _square(access: Access, x: float, y: float) -> Markup:
    middle_x, middle_y = x + _SQUARE / 2, y + _SQUARE / 2
    ring = element("circle", cx=middle_x, cy=middle_y, r=_RING)
    half = f"M{middle_x:g} {middle_y - _RING:g}a{_RING} {_RING} 0 0 0 0 {2 * _RING}z"
    shapes = {
        Access.FREE: joined(ring),
        Access.BOUND: joined(ring, element("path", d=half)),
        Access.NONE: joined(element("path", d=f"M{middle_x - 4:g} {middle_y:g}h8")),
    }
    box = element("rect", x=x, y=y, width=_SQUARE, height=_SQUARE, rx=4)
    return element("g", box, shapes[access], class_=access)


def _lanes(references: tuple[Reference, ...]) -> list[int]:
    """Give each arc a lane, so that long arcs lie outside of short ones."""
    order = sorted(range(len(references)), key=lambda n: abs(references[n].source - references[n].target))
    lanes = [0] * len(references)
    for lane, index in enumerate(order):
        lanes[index] = lane
    return lanes


def _arc(reference: Reference, start: float, end: float, lane: int) -> Markup:
    shift = 4 * list(Bond).index(reference.bond) - 6
    start, end = start + shift, end + shift + (3 if end < start else -3)
    reach = min(_ARC_LANE * (lane + 2), WIDTH - _MARGIN - _ARCS_X)
    x = _ARCS_X - 12
    curve = f"M{x:g} {start:g}C{x + reach * 4 / 3:g} {start:g} {x + reach * 4 / 3:g} {end:g} {x + 8:g} {end:g}"
    tip = f"M{x:g} {end:g}l9 -4.5v9z"
    return element(
        "g",
        element("title", str(reference)),
        element("path", class_=f"arc {reference.bond}", d=curve, stroke_dasharray=_BOND_SHAPES[reference.bond] or None),
        element("path", class_=f"tip {reference.bond}", d=tip),
    )


def _field_lines(field: FieldMap) -> Iterator[tuple[tuple[str, str], ...]]:
    """Give the lines of a field: name, value and meaning, each with its class."""
    name, shown = field.text.name, _cut_value(field.text.value)
    for meaning in fitted(field.text.meaning, _SMALL, _MEANING_WIDTH, 2) or [""]:
        yield ("small name", name), ("hex", shown), ("small", meaning)
        name = shown = ""
    if field.other:
        meaning = "".join(fitted(field.other.meaning, _SMALL_BOLD, _MEANING_WIDTH))
        yield (
            ("small unlike", "\u2260 there"),
            ("small unlike", _cut_value(field.other.value)),
            ("small unlike", meaning),
        )


def _cut_value(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 2]}\u2026"
