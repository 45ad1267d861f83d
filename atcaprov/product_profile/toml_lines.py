"""Find the lines of keys in a TOML text, which Python's parser does not tell.

The text is one that the parser has accepted, so only headers, keys, strings and brackets are looked at. A key inside
an inline table has no line of its own; `line_of` gives that of the key that holds the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED: Final = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER: Final = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]")
_KEY: Final = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_PARTS: Final = re.compile(_PART)
_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]|\n', re.DOTALL
)


def key_lines(text: str) -> dict[str, int]:
    """Return the line, from 1 on, of each table and key by its dotted path; of a key that is repeated, the first."""
    found: dict[str, int] = {}
    table: tuple[str, ...] = ()
    for number, line in _statements(text):
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            table = _split(header[1])
            _note(found, table, number)
        elif key:
            _note(found, table + _split(key[1]), number)
    return found


def line_of(lines: Mapping[str, int], path: str) -> int:
    """Return the line of a path, or of the nearest one above it that has a line; 1 if there is none."""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path, 1)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with the line at which it begins; strings and lists may be several lines long."""
    number = begin = 1
    depth = start = 0
    for token in _TOKEN.finditer(text):
        if token[0] != "\n":
            depth += (token[0] in ("[", "{")) - (token[0] in ("]", "}"))
            number += token[0].count("\n")
            continue
        number += 1
        if not depth:
            yield begin, text[start : token.start()]
            start, begin = token.end(), number
    yield begin, text[start:]


def _note(found: dict[str, int], path: tuple[str, ...], number: int) -> None:
    for size in range(1, len(path) + 1):
        found.setdefault(".".join(path[:size]), number)


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PARTS.findall(dotted))
