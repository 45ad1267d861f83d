"""What the labels of a work order look like: a small part of the regular expressions, matched in bounded time.

    A, \\-, [A-Z0-9-], \\d      a character, an escaped one, one of a class, a digit
    {8}, {1,6}, ?, +, *        how often the item before may come; + and * end at the longest label

There are no groups, alternatives, anchors or dots. A label must match the whole pattern. Matching follows all ways
through the pattern at once, so no pattern and no label takes long: at most items x characters x characters steps.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final, Self

from atcaprov.certs.unit_rule import pattern_positions
from atcaprov.errors import UsageError
from atcaprov.wire.messages import NAME_SIZE_MAX

LONGEST_PATTERN: Final = 128
_ATOM: Final = re.compile(r"\[(?:\\.|[^\]\\])+\]|\\.|[^\[\](){}.*+?^$|\\]", re.DOTALL)
_COUNT: Final = re.compile(r"\{([0-9]{1,2})(?:,([0-9]{1,2}))?\}|([?*+])", re.ASCII)
_SIGNS: Final = {"?": (0, 1), "*": (0, NAME_SIZE_MAX), "+": (1, NAME_SIZE_MAX)}


@dataclass(frozen=True, slots=True)
class _Item:
    """Characters of which one comes `low` to `high` times."""

    characters: frozenset[str]
    low: int
    high: int

    def ends(self, label: str, starts: set[int]) -> set[int]:
        """Return where this item can end if it begins at one of some places."""
        found: set[int] = set()
        for start in starts:
            end = start
            while end < len(label) and end - start < self.high and label[end] in self.characters:
                end += 1
            found.update(range(start + self.low, end + 1))
        return found


@dataclass(frozen=True, slots=True)
class LabelPattern:
    """A pattern that was read."""

    text: str
    items: tuple[_Item, ...]

    @classmethod
    @functools.lru_cache(maxsize=256)
    def parse(cls, text: str) -> Self:
        """Read a pattern of at most 128 characters; raises UsageError that says from where on it is not understood."""
        if not 1 <= len(text) <= LONGEST_PATTERN:
            raise UsageError(f"A label pattern has 1 to {LONGEST_PATTERN} characters, not {len(text)}.")
        items, at = [], 0
        while at < len(text):
            atom = _ATOM.match(text, at)
            if atom is None:
                raise _not_understood(
                    text, at, "use characters, classes such as [A-Z0-9], \\d and counts such as {1,6}"
                )
            try:
                (characters,) = pattern_positions(atom[0])
            except ValueError as error:
                raise _not_understood(text, at, f"it {error}") from None
            count = _COUNT.match(text, atom.end())
            low, high = (1, 1) if count is None else _bounds(count)
            if low > high or high > NAME_SIZE_MAX:
                raise _not_understood(text, atom.end(), f"a count is from 0 to {NAME_SIZE_MAX}, the lower one first")
            items.append(_Item(characters, low, high))
            at = atom.end() if count is None else count.end()
        if sum(item.low for item in items) > NAME_SIZE_MAX:
            raise UsageError(f"The label pattern matches no label: one has at most {NAME_SIZE_MAX} characters.")
        return cls(text, tuple(items))

    def matches(self, label: str) -> bool:
        """Return whether a whole label matches."""
        if len(label) > NAME_SIZE_MAX:
            return False
        places = {0}
        for item in self.items:
            places = item.ends(label, places)
        return len(label) in places


def _bounds(count: re.Match[str]) -> tuple[int, int]:
    if count[3]:
        return _SIGNS[count[3]]
    return int(count[1]), int(count[2] or count[1])


def _not_understood(text: str, at: int, why: str) -> UsageError:
    return UsageError(f"The label pattern is not understood from '{text[at : at + 12]}' on: {why}.")
