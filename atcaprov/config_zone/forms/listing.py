"""Read listings with indexes: `[0] = 0x01`, `00: 01 23`, `000: 01   001: 23`, `| 16 | C0 |`.

The indexes are the protection: every byte of the zone must be named once, in one number system, else the text is
refused. Words around the entries do not matter, since an entry that is lost leaves a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import CONFIG_SIZE
from atcaprov.config_zone.forms.reading import (
    READ_ONLY_SIZE,
    Lines,
    PlacedByte,
    Reading,
    form_error,
    reading_of,
)
from atcaprov.config_zone.forms.source_text import without_comments

_INDEX: Final = r"(?P<first>(?:0[xX])?[0-9A-Fa-f]{1,4})(?:[ \t]*(?:-|\.\.)[ \t]*(?P<last>(?:0[xX])?[0-9A-Fa-f]{1,4}))?"
_BYTE: Final = r"(?:0[xX][0-9A-Fa-f]{1,2}|[0-9A-Fa-f]{2})(?![0-9A-Za-z_])"
_ENTRY: Final = re.compile(
    rf"(?<![0-9A-Za-z_])\[?[ \t]*{_INDEX}[ \t]*\]?[ \t]*[:=][ \t]*"
    rf"(?P<bytes>{_BYTE}(?:[ \t,]+{_BYTE}(?![ \t]*\]?[ \t]*[:=]))*)"
)
_TABLE_ENTRY: Final = re.compile(
    rf"^[ \t]*\|?[ \t]*{_INDEX}[ \t]*\|[ \t]*(?P<bytes>{_BYTE}(?:[ \t,]+{_BYTE})*)[ \t]*(?=\||$)", re.MULTILINE
)
_FEWEST: Final = 4
"""Entries that make a listing; a single one is more likely another text."""
_RADICES: Final = (10, 16)


@dataclass(frozen=True)
class _Entry:
    first: str
    last: str | None
    values: tuple[PlacedByte, ...]


def read_listing(text: str, *, accept_112: bool) -> Reading | None:
    """Return the zone of a listing, None if the text is none; raises UsageError if an index is missing or doubled."""
    clean = without_comments(text, "//", "#", ";")
    entries = list(_entries(clean, _ENTRY)) or list(_entries(clean, _TABLE_ENTRY))
    if len(entries) < _FEWEST:
        return None
    starts = (0, READ_ONLY_SIZE) if accept_112 else (0,)
    readings = {found.data: found for found in _readings(entries, starts)}
    if len(readings) > 1:
        raise form_error(
            "The indexes of the listing can be read in two ways that give different bytes.",
            "Write the indexes with 0x in front.",
        )
    if not readings:
        raise _incomplete(entries)
    return next(iter(readings.values()))


def _entries(text: str, pattern: re.Pattern[str]) -> Iterator[_Entry]:
    lines = Lines(text)
    for match in pattern.finditer(text):
        values = tuple(
            (int(byte.group(), 16), lines.place(match.start("bytes") + byte.start()))
            for byte in re.finditer(_BYTE, match["bytes"])
        )
        yield _Entry(match["first"], match["last"], values)


def _readings(entries: Sequence[_Entry], starts: tuple[int, ...]) -> Iterator[Reading]:
    for radix in _RADICES:
        for in_rows in (False, True):
            placed = _placed(entries, radix, in_rows=in_rows)
            for start in starts:
                if placed is not None and sorted(placed) == list(range(start, CONFIG_SIZE)):
                    yield reading_of("a listing with indexes", [placed[index] for index in range(start, CONFIG_SIZE)])


def _placed(entries: Sequence[_Entry], radix: int, *, in_rows: bool) -> dict[int, PlacedByte] | None:
    """Return the byte of each index; None if an index is doubled, no number, or contradicts its row.

    `in_rows`: the index counts rows of one length (words of 4 bytes, blocks of 16 or 32) instead of bytes.
    """
    lengths = {len(entry.values) for entry in entries}
    if in_rows and (len(lengths) > 1 or lengths == {1}):
        return None
    placed: dict[int, PlacedByte] = {}
    for entry in entries:
        first = _number(entry.first, radix)
        last = None if entry.last is None else _number(entry.last, radix)
        if first is None or (entry.last is not None and (in_rows or last != first + len(entry.values) - 1)):
            return None
        start = first * len(entry.values) if in_rows else first
        for index, value in enumerate(entry.values, start=start):
            if index in placed:
                return None
            placed[index] = value
    return placed


def _number(text: str, radix: int) -> int | None:
    if text[:2].lower() == "0x":
        return int(text, 16)
    try:
        return int(text, radix)
    except ValueError:
        return None


def _incomplete(entries: Sequence[_Entry]) -> Exception:
    radix = 16 if any(re.search("[A-Fa-fxX]", entry.first) for entry in entries) else 10
    seen: set[int] = set()
    for entry in entries:
        first = _number(entry.first, radix) or 0
        for index, (_, place) in enumerate(entry.values, start=first):
            if index in seen:
                return form_error(f"{place}: the listing gives byte {index} twice.", "Each index must appear once.")
            seen.add(index)
    missing = next((index for index in range(CONFIG_SIZE) if index not in seen), CONFIG_SIZE)
    what = f"byte {missing} is missing" if missing < CONFIG_SIZE else "there are more than 128"
    return form_error(f"The listing does not give each of 128 bytes once: {what}.", "Each index must appear once.")
