"""Break texts into lines for SVG, which breaks none itself: estimated widths, on the safe side for usual fonts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from atcaprov.terminal.printable import printable

_NARROW: Final = frozenset("iljtfI.,:;'|!()[]/ ")
_BROAD: Final = frozenset("mwMW@%")
_ELLIPSIS: Final = "\u2026"


def width_of(text: str, size: float) -> float:
    """Return the estimated width of a text in a font of `size` pixels."""
    return size * sum(map(_em, text))


def _em(character: str) -> float:
    if unicodedata.combining(character):
        return 0.1
    if unicodedata.east_asian_width(character) in "WF":
        return 1.1
    if character in _NARROW:
        return 0.36
    if character in _BROAD:
        return 0.98
    if character.isupper():
        return 0.74
    return 0.6 if character.isascii() else 0.9


def fitted(text: str, size: float, width: float, most: int = 1) -> list[str]:
    """Return a text in at most `most` lines that fit `width`; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    rest = printable(text).split()
    while rest and len(lines) < most:
        count = _words_that_fit(rest, size, width)
        lines.append(" ".join(rest[:count]) if count else "")
        if not count:  # one word wider than the line
            lines[-1] = _cut(rest[0], size, width)
            return lines
        rest = rest[count:]
    if rest:
        lines[-1] = _cut(f"{lines[-1]} {rest[0]}", size, width)
    return lines


def _words_that_fit(words: Sequence[str], size: float, width: float) -> int:
    count = 0
    while count < len(words) and width_of(" ".join(words[: count + 1]), size) <= width:
        count += 1
    return count


def _cut(text: str, size: float, width: float) -> str:
    while text and width_of(text + _ELLIPSIS, size) > width:
        text = text[:-1]
    return text.rstrip(" ,;:") + _ELLIPSIS
