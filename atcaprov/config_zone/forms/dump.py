"""Read the dumps of xxd, hexdump -C, od -t x1, i2cdump, certutil and Format-Hex: rows of bytes behind an address.

A dump says everything twice, and all of it is checked: addresses must go on from 0 without a gap in one number system,
and the column of characters must fit the bytes. In groups of several bytes only that column tells the order of the
bytes, so without it such a dump is refused. Sources: the manuals of xxd, hexdump, od (coreutils) and i2cdump.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import CONFIG_SIZE
from atcaprov.config_zone.forms.reading import (
    READ_ONLY_SIZE,
    Place,
    PlacedByte,
    Reading,
    form_error,
    reading_of,
    sizes,
)

_ROW: Final = re.compile(r"[ \t]*(?:0[xX])?(?P<address>[0-9A-Fa-f]{2,16})(?P<colon>:?)[ \t]+(?P<rest>\S.*)")
_END: Final = re.compile(r"\s*(?:0[xX])?(?P<address>[0-9A-Fa-f]{4,16}):?\s*")
_GROUP: Final = re.compile(r"[0-9A-Fa-f]+")
_FRAMES: Final = (("|", "|"), (">", "<"))
_RADICES: Final = (16, 8, 10)
_PRINTABLE: Final = range(0x20, 0x7F)
_ADDRESS_DIGITS: Final = 4
_REPEATED: Final = "*"
_LONGEST_LINE: Final = 1_000
"""A row with all 128 bytes and their characters is shorter."""
_WIDEST_GAP: Final = 8
"""Blanks in front of the column of characters."""


@dataclass(frozen=True)
class _Row:
    address: str
    groups: tuple[str, ...]
    columns: tuple[int, ...]
    """Where each group begins, from 1."""
    characters: str | None
    """The column of characters, None if there is none."""
    line: int
    colon: bool = False

    @property
    def is_head(self) -> bool:
        """Whether a first row only numbers the columns: 00 01 02 and so on, without an address."""
        return not self.colon and len(self.address) < _ADDRESS_DIGITS

    def values(self, *, swapped: bool) -> list[PlacedByte]:
        """Return the bytes in their order; `swapped` if a group shows its last byte first."""
        step = -1 if swapped else 1
        return [
            (int(group[at : at + 2], 16), Place(self.line, column + at))
            for group, column in zip(self.groups, self.columns, strict=True)
            for at in range(0, len(group), 2)[::step]
        ]


def read_dump(text: str, *, accept_112: bool) -> Reading | None:
    """Return the zone of a dump, or None if the text is not a dump; raises UsageError if a dump is damaged."""
    rows = _rows(text)
    if rows is None:
        return None
    found = _ordered(rows)
    if len(found) not in sizes(accept_112=accept_112):
        raise form_error(f"The dump holds {len(found)} bytes; a configuration zone has {CONFIG_SIZE}.")
    return reading_of("a dump with addresses", found)


def _rows(text: str) -> list[_Row | int] | None:
    """Return the rows, or None if the text is not a dump. A mark for repeated rows is given as its line number."""
    rows: list[_Row | int] = []
    ends: list[tuple[str, int]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        end = _END.fullmatch(line)
        if line.strip() == _REPEATED and rows:
            rows.append(number)
        elif end is not None and rows:
            ends.append((end["address"], number))
        else:
            row = _row(line, number)
            if not rows and (row is None or row.is_head):
                continue  # if it was the first row in truth, the addresses tell
            if row is None or ends:
                return None
            rows.append(row)
    if not any(isinstance(row, _Row) for row in rows) or not _looks_like_a_dump(rows):
        return None
    return [*rows, *(_Row(address, (), (), None, line) for address, line in ends)]


def _looks_like_a_dump(rows: Sequence[_Row | int]) -> bool:
    """Tell a dump from a listing with indexes: long addresses, or a column of characters."""
    return all(
        len(row.address) >= _ADDRESS_DIGITS or row.characters is not None for row in rows if isinstance(row, _Row)
    )


def _row(line: str, number: int) -> _Row | None:
    matched = _ROW.fullmatch(line) if len(line) <= _LONGEST_LINE else None
    if matched is None:
        return None
    groups, characters = _split(matched["rest"])
    if not groups or any(len(group[0]) % 2 for group in groups):
        return None
    start = matched.start("rest") + 1
    return _Row(
        matched["address"],
        tuple(group for group, _ in groups),
        tuple(start + column for _, column in groups),
        characters,
        number,
        bool(matched["colon"]),
    )


def _split(rest: str) -> tuple[list[tuple[str, int]], str | None]:
    """Return the groups with their columns, and the characters behind them."""
    for first, last in _FRAMES:
        at, end = rest.find(first), len(rest.rstrip()) - 1
        if 0 < at < end and rest[end] == last and _groups(rest[:at]):
            return _groups(rest[:at]), rest[at + 1 : end]
    found = _groups(rest)
    return (found, None) if found else _split_unframed(rest)


def _split_unframed(rest: str) -> tuple[list[tuple[str, int]], str | None]:
    """Find the characters that no frame marks: behind any gap, if they fit, else behind the first wide one."""
    fallback: tuple[list[tuple[str, int]], str | None] = ([], None)
    for gap in re.finditer(r"[ \t]+", rest):
        groups = _groups(rest[: gap.start()])
        if not groups:
            break
        values = _in_order(groups)
        for width in range(1, min(len(gap.group()), _WIDEST_GAP) + 1):
            characters = rest[gap.start() + width :].ljust(len(values))  # blanks at the end of a line get lost
            if any(_all_shown(order, characters) for order in (values, _in_order(groups, step=-1))):
                return groups, characters
        if not fallback[0] and len(gap.group()) > 1:
            fallback = groups, rest[gap.end() :]
    return fallback


def _in_order(groups: Sequence[tuple[str, int]], step: int = 1) -> list[int]:
    return [int(group[at : at + 2], 16) for group, _ in groups for at in range(0, len(group), 2)[::step]]


def _all_shown(values: Sequence[int], characters: str) -> bool:
    return len(characters) == len(values) and all(map(_shown, values, characters))


def _groups(text: str) -> list[tuple[str, int]]:
    """Return the groups of a text that has nothing but groups; else none."""
    found = [(word.group(), word.start()) for word in re.finditer(r"\S+", text)]
    return found if all(_GROUP.fullmatch(group) for group, _ in found) else []


def _ordered(rows: Sequence[_Row | int]) -> list[PlacedByte]:
    widths = {len(group) for row in rows if isinstance(row, _Row) for group in row.groups}
    if len(widths) > 1:
        raise form_error("The dump has groups of different sizes.", "Look for a blank that was lost or added.")
    grouped = widths != {len("00")}
    orders = [swapped for swapped in ((False, True) if grouped else (False,)) if _fits(rows, swapped=swapped)]
    if not orders:
        raise _misfit(rows)
    if len(orders) > 1:
        raise form_error(
            "The dump shows groups of several bytes, and nothing in it tells their order.",
            "Make it again in single bytes: xxd -g 1, hexdump -C or od -t x1.",
        )
    return _continuous(rows, swapped=orders[0])


def _fits(rows: Sequence[_Row | int], *, swapped: bool) -> bool:
    return all(_row_fits(row, swapped=swapped) for row in rows if isinstance(row, _Row))


def _row_fits(row: _Row, *, swapped: bool) -> bool:
    if row.characters is None:
        return True
    return _all_shown([value for value, _ in row.values(swapped=swapped)], row.characters)


def _shown(value: int, character: str) -> bool:
    """Tell whether a character may stand for a byte: programs show others as a dot or in a code page of their own."""
    if value in _PRINTABLE:
        return character == chr(value)
    return character in ".?" or (value not in range(_PRINTABLE.stop) and not character.isascii())


def _misfit(rows: Sequence[_Row | int]) -> Exception:
    row = next(row for row in rows if isinstance(row, _Row) and not _row_fits(row, swapped=False))
    return form_error(
        f"line {row.line}: the characters at its end do not fit its bytes.",
        "Make the dump again: one of the two was changed.",
    )


def _continuous(rows: Sequence[_Row | int], *, swapped: bool) -> list[PlacedByte]:
    """Return the bytes of rows whose addresses go on without a gap in one number system."""
    broken: _Row | None = None
    for radix in _RADICES:
        found, row = _in_radix(rows, radix, swapped=swapped)
        if row is None:
            return found
        if broken is None or row.line > broken.line:
            broken = row
    assert broken is not None
    raise form_error(
        f"line {broken.line}: the address {broken.address} does not follow the rows before it.",
        "Addresses must begin at 0 and have no gap; look for a row that is missing, doubled or cut.",
    )


def _in_radix(rows: Sequence[_Row | int], radix: int, *, swapped: bool) -> tuple[list[PlacedByte], _Row | None]:
    """Return the bytes in a number system, or the first row whose address is wrong in it."""
    found: list[PlacedByte] = []
    last: list[PlacedByte] = []
    repeats = False
    real = [row for row in rows if isinstance(row, _Row)]
    start = READ_ONLY_SIZE if _number(real[0].address, radix) == READ_ONLY_SIZE else 0
    for row in rows:
        if not isinstance(row, _Row):
            repeats = True
            continue
        address = _number(row.address, radix)
        missing = -1 if address is None else address - start - len(found)
        if repeats:
            filled = _repeated(last, missing)
            found, missing = found + filled, missing - len(filled)
        if missing:
            return [], row
        repeats, last = False, row.values(swapped=swapped)
        found += last
    return ([], real[0]) if start and len(found) + start != CONFIG_SIZE else (found, None)


def _repeated(row: list[PlacedByte], count: int) -> list[PlacedByte]:
    """Return a row so often that it has `count` bytes; none if that is not possible."""
    whole = bool(row) and 0 < count < CONFIG_SIZE and count % len(row) == 0
    return row * (count // len(row)) if whole else []


def _number(text: str, radix: int) -> int | None:
    try:
        return int(text, radix)
    except ValueError:
        return None
