"""Read the hex file of a configuration zone, as the client's `--config` does.

Bytes are pairs of hex digits with any spacing, with or without 0x and commas; `#`, `//` and `;` begin a comment that
runs to the end of the line. The first 16 bytes, serial number and revision, must be present and are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import CONFIG_SIZE
from atcaprov.errors import Code, UsageError

READ_ONLY_SIZE: Final = 16
"""Bytes 0-15, which no command writes."""
_WRITABLE_SIZE: Final = CONFIG_SIZE - READ_ONLY_SIZE
_LINE_SIZE: Final = 16
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_COMMENT: Final = re.compile(r"#|//|;")
_WORD: Final = re.compile(r"[^\s,]+")
_NOT_HEX: Final = re.compile(r"[^0-9A-Fa-f]")


@dataclass(frozen=True)
class HexText:
    """The content of a hex file: the 128 bytes of the zone, and the line of each (1 = first; 0 = none)."""

    data: bytes
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Position:
    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


def parse_hex(text: str, *, accept_112: bool = False) -> bytes:
    """Return the 128 bytes of the zone in a hex text; see `read_hex`."""
    return read_hex(text, accept_112=accept_112).data


def read_hex(text: str, *, accept_112: bool = False) -> HexText:
    """Read the hex text of a zone.

    With `accept_112`, a text of 112 bytes is read as bytes 16-127, and the first 16 are zero.

    Raises:
        UsageError: not hex, or not 128 bytes (code config-zone-invalid), with line, column and byte.
    """
    found = list(_bytes_of(text))
    if accept_112 and len(found) == _WRITABLE_SIZE:
        found = [(0, _Position(0, 0))] * READ_ONLY_SIZE + found
    if len(found) != CONFIG_SIZE:
        raise _wrong_length(found)
    return HexText(bytes(value for value, _ in found), tuple(place.line for _, place in found))


def format_hex(data: bytes) -> str:
    """Return a zone as the guide prints it: 16 bytes a line, two spaces in the middle, a newline after each line."""
    return "".join(_format_line(data[at : at + _LINE_SIZE]) for at in range(0, len(data), _LINE_SIZE))


def _format_line(data: bytes) -> str:
    half = _LINE_SIZE // 2
    return "  ".join(part.hex(" ").upper() for part in (data[:half], data[half:]) if part) + "\n"


def _bytes_of(text: str) -> Iterator[tuple[int, _Position]]:
    count = 0
    for number, line in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        for word in _WORD.finditer(_COMMENT.split(line, maxsplit=1)[0]):
            for found in _bytes_of_word(word.group(), _Position(number, word.start() + 1), count):
                yield found
                count += 1


def _bytes_of_word(word: str, place: _Position, count: int) -> Iterator[tuple[int, _Position]]:
    skipped = 2 if word[:2].lower() == "0x" else 0
    digits = word[skipped:]
    column = place.column + skipped
    stranger = _NOT_HEX.search(digits)
    if stranger is not None:
        at = _Position(place.line, column + stranger.start())
        raise _error(
            f"{at}: {stranger.group()!r} is not a hex digit (in byte {count + stranger.start() // 2}).",
            "Bytes are written as two hex digits; comments begin with #, // or ;.",
        )
    if not digits or len(digits) % 2:
        raise _error(
            f"{place}: '{word[:40]}' has an odd number of digits or none (byte {count + len(digits) // 2}).",
            "Write each byte with two hex digits.",
        )
    for index, value in enumerate(bytes.fromhex(digits)):
        yield value, _Position(place.line, column + 2 * index)


def _wrong_length(found: list[tuple[int, _Position]]) -> UsageError:
    what = f"The text holds {len(found)} bytes; a configuration zone has {CONFIG_SIZE}."
    if len(found) > CONFIG_SIZE:
        what += f" The first byte too many (byte {CONFIG_SIZE}) stands at {found[CONFIG_SIZE][1]}."
        return _error(what, "Look for a doubled or inserted row: it moves every byte after it.")
    if found:
        what += f" It ends after byte {len(found) - 1} at {found[-1][1]}."
    if len(found) == _WRITABLE_SIZE:
        return _error(what, "If these are bytes 16-127, say so with --accept-112, or put 16 bytes in front.")
    return _error(what, "Count 8 lines of 16 bytes; the first 16 bytes are ignored but must be there.")


def _error(what: str, advice: str) -> UsageError:
    return UsageError(what, advice=advice, code=Code.CONFIG_ZONE_INVALID)
