"""Write the map as one HTML file: tables that screen readers understand, for wide and narrow screens and for paper.

The page has no scripts and loads nothing; its own security policy allows its one style sheet by its hash.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from atcaprov.chip_map.access import Access, Moment, Right
from atcaprov.chip_map.colours import style
from atcaprov.chip_map.markup import LINE_END, Markup, element, joined
from atcaprov.chip_map.model import ChipMap, FieldMap, SlotMap
from atcaprov.chip_map.references import Reference
from atcaprov.chip_map.words import change_sentence

_SIGNS: Final = {Access.FREE: "\u25cf", Access.BOUND: "\u25d0", Access.NONE: "\u2013"}
_STYLE: Final = style(":root", "page.css")


def html_of(drawn: ChipMap) -> str:
    """Return the page as text, with a newline at its end."""
    digest = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"Map of the chip: {drawn.title}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(_STYLE)),
    )
    body = element("body", _header(drawn), LINE_END, element("main", _slots(drawn), _fields(drawn)))
    return joined(Markup("<!doctype html>\n"), element("html", head, LINE_END, body, lang="en"), LINE_END)


def _header(drawn: ChipMap) -> Markup:
    lines = [element("h1", drawn.title), element("p", str(drawn.part), class_="soft")]
    if drawn.state:
        lines.append(element("p", drawn.state))
    if drawn.against:
        lines.append(element("p", f"\u2260 differs from {drawn.against}", class_="unlike"))
    signs = [element("li", _square(access), " ", access.words) for access in Access]
    moments = [element("li", f"{moment + 1} {moment.words}", class_="soft") for moment in Moment]
    note = element("p", drawn.words_note, class_="soft")
    return element("header", *lines, element("ul", *signs, *moments, class_="legend"), note)


def _slots(drawn: ChipMap) -> Markup:
    heads = ["Slot", "What it is", *(joined(right, _MOMENTS) for right in Right), "Other slots"]
    table = element(
        "table",
        _table_head(heads),
        _part("tbody", *(_slot(slot, drawn) for slot in drawn.slots)),
        role="table",
        class_="slots",
        aria_labelledby="slots",
    )
    return joined(element("h2", "The slots", id="slots"), table)


_MOMENTS: Final = element(
    "span", *(element("span", str(moment + 1)) for moment in Moment), class_="moments", aria_hidden="true"
)


def _table_head(heads: list[str]) -> Markup:
    cells = [element("th", head, scope="col", role="columnheader") for head in heads]
    return _part("thead", element("tr", *cells, role="row"))


def _part(name: str, *rows: Markup) -> Markup:
    return element(name, *rows, role="rowgroup")


def _slot(slot: SlotMap, drawn: ChipMap) -> Markup:
    number = element("th", element("span", str(slot.number), class_="badge"), scope="row", role="rowheader")
    cells = [_cell(right, *_right(slot, right)) for right in Right]
    bonds = element("ul", *(_bond(each, slot.number) for each in drawn.bonds_of(slot.number)), class_="bonds")
    return joined(
        LINE_END,
        element(
            "tr",
            number,
            _cell(None, *_what(slot)),
            *cells,
            _cell("Other slots" if drawn.bonds_of(slot.number) else None, bonds),
            id=f"slot-{slot.number}",
            class_="changed" if slot.other else None,
            role="row",
        ),
    )


def _cell(label: str | None, *content: Markup) -> Markup:
    return element("td", *(content or ("",)), role="cell", data_label=label)


def _what(slot: SlotMap) -> Iterator[Markup]:
    yield element("span", slot.purpose or slot.kind, class_="name")
    facts = [*([] if slot.size_is_told else [f"{slot.size} bytes"]), slot.explained if slot.purpose else slot.rules]
    yield element("small", "; ".join(filter(None, (*facts, *slot.roles))), class_="soft")
    if slot.content:
        yield element("small", f"Holds {slot.content}.", class_="content")
    if slot.other:
        yield element("small", change_sentence(slot), class_="unlike")
    yield element("details", element("summary", f"Every use of slot {slot.number}"), *_every_use(slot))


def _every_use(slot: SlotMap) -> Iterator[Markup]:
    for moment in Moment:
        uses = slot.access.uses[moment]
        items = [
            element("li", f"{use} (needs {', '.join(map(str, needs))})" if needs else use)
            for use, needs in uses.items()
        ]
        yield element("small", f"{moment + 1} {moment.words}, it can be:", class_="soft")
        yield element("ul", *(items or [element("li", "used for nothing")]))


def _right(slot: SlotMap, right: Right) -> tuple[Markup, Markup]:
    cells = slot.access.cells[right]
    told = "; ".join(f"{moment.words}: {cell.words}" for moment, cell in zip(Moment, cells, strict=True))
    squares = [_square(cell.access, *_marks(slot, right, moment)) for moment, cell in zip(Moment, cells, strict=True)]
    return (
        element("span", *squares, class_="squares", role="img", aria_label=told),
        element("small", slot.in_words(right)),
    )


def _marks(slot: SlotMap, right: Right, moment: Moment) -> Iterator[str]:
    if slot.now is moment:
        yield "now"
    if (right, moment) in slot.different:
        yield "unlike-square"


def _square(access: Access, *marks: str) -> Markup:
    return element("span", _SIGNS[access], class_=" ".join(("square", access, *marks)), aria_hidden="true")


def _bond(reference: Reference, number: int) -> Markup:
    if reference.source == number:
        other, before = reference.target, f"{reference.bond} "
    else:
        other, before = reference.source, f"{reference.bond.passive} "
    link = element("a", f"slot {other}", href=f"#slot-{other}")
    return element("li", element("span", before, class_=reference.bond), link)


def _fields(drawn: ChipMap) -> Markup:
    heads = ["Field", "Byte", "Value", "Meaning"]
    table = element(
        "table",
        _table_head(heads),
        _part("tbody", *(_field(field) for field in drawn.fields)),
        role="table",
        aria_labelledby="fields",
    )
    return joined(element("h2", "The whole chip", id="fields"), table)


def _field(field: FieldMap) -> Markup:
    text, other = field.text, field.other
    value, meaning = [element("code", text.value)], [element("span", text.meaning)]
    if other is not None:
        value.append(element("small", f"\u2260 there: {other.value}", class_="unlike"))
        meaning.append(element("small", f"\u2260 there: {other.meaning}", class_="unlike"))
    name = element("th", text.name, scope="row", role="rowheader")
    cells = [_cell("Byte", Markup(str(text.byte))), _cell("Value", *value), _cell("Meaning", *meaning)]
    return joined(LINE_END, element("tr", name, *cells, class_="changed" if other else None, role="row"))
