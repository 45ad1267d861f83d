"""What a form gives: the bytes of the zone, where each stands in the text, and which form it was."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import CONFIG_SIZE
from atcaprov.errors import Code, UsageError

READ_ONLY_SIZE: Final = 16
"""Bytes 0-15, which no command writes."""
WRITABLE_SIZE: Final = CONFIG_SIZE - READ_ONLY_SIZE
_SERIAL_START: Final = (0x01, 0x23)
"""SN[0:1] of every chip (DS20005927A, 2.2). As I2C_Address, byte 16, 01 is not valid."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a text: line and column, both from 1; 0 if the form has no places."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


NOWHERE: Final = Place(0, 0)
PlacedByte = tuple[int, Place]


@dataclass(frozen=True)
class Reading:
    """The 128 bytes of a zone, the place of each, and the words for the form, such as `a C array named cfg`."""

    form: str
    data: bytes
    places: tuple[Place, ...]


def form_error(what: str, advice: str = "") -> UsageError:
    """Return the one error of all forms."""
    return UsageError(what, advice=advice, code=Code.CONFIG_ZONE_INVALID)


def sizes(*, accept_112: bool) -> tuple[int, ...]:
    """Return the numbers of bytes that are a zone."""
    return (CONFIG_SIZE, WRITABLE_SIZE) if accept_112 else (CONFIG_SIZE,)


def reading_of(form: str, found: Sequence[PlacedByte]) -> Reading:
    """Return the reading of 128 bytes, or of 112 with 16 zeros in front.

    Raises:
        UsageError: 112 bytes begin as bytes 0 and 1 of every chip do, so a row is missing elsewhere.
    """
    if len(found) == WRITABLE_SIZE and tuple(value for value, _ in found[:2]) == _SERIAL_START:
        raise form_error(
            "The 112 bytes begin with 01 23, as bytes 0-15 of every chip do: 16 other bytes are missing.",
            "Look for the row that is missing.",
        )
    front = [(0, NOWHERE)] * (CONFIG_SIZE - len(found))
    whole = [*front, *found]
    return Reading(form, bytes(value for value, _ in whole), tuple(place for _, place in whole))


def unplaced(form: str, data: bytes) -> Reading:
    """Return the reading of 128 or 112 bytes whose places are not known."""
    return reading_of(form, [(value, NOWHERE) for value in data])


class Lines:
    """Turns offsets in a text into lines and columns."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        for offset, character in enumerate(text):
            if character == "\n":
                self._starts.append(offset + 1)

    def place(self, offset: int) -> Place:
        """Return the place of the character at an offset."""
        line = bisect_right(self._starts, offset)
        return Place(line, offset - self._starts[line - 1] + 1)
