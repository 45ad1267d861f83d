"""Read the part of YAML that programs write for plain settings: block mappings, block lists, numbers, flags, words.

Anchors, quotes, flow style, several documents and everything else of YAML 1.2 is refused, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from atcaprov.config_zone.forms.reading import form_error

_PAIR: Final = re.compile(r"(?P<key>[A-Za-z]\w*):(?: +(?P<value>.+))?")
_SCALAR: Final = re.compile(r"[A-Za-z0-9.+-]+")
_FLAGS: Final = {"true": True, "false": False}
_MOST_LINES: Final = 2_000
_DEEPEST: Final = 32
_EMPTY: Final[dict[str, list[Any] | None]] = {"[]": [], "null": None}


@dataclass(frozen=True)
class _Line:
    number: int
    indent: int
    text: str


def parse_simple_yaml(text: str) -> dict[str, Any]:
    """Return the mapping of a text; raises UsageError with the line of what is not read."""
    lines = _lines(text)
    if len(lines) > _MOST_LINES:
        raise form_error(f"The YAML has more than {_MOST_LINES} lines.")
    value, rest = _block(lines, 0)
    if rest < len(lines):
        raise form_error(f"line {lines[rest].number}: the YAML is indented in an unusual way.")
    if not isinstance(value, dict):
        raise form_error("The YAML is not a mapping.")
    return value


def _lines(text: str) -> list[_Line]:
    """Return the lines without comments; a dash becomes a line of its own, so that its item is a block like others."""
    found: list[_Line] = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = re.sub(r"(?:^|\s)#.*", "", line).rstrip()
        if not content.strip() or content == "---":
            continue
        indent = len(content) - len(content.lstrip(" "))
        rest = content[indent:]
        while rest.startswith("- "):
            found.append(_Line(number, indent, "-"))
            stripped = rest[1:].lstrip(" ")
            indent += len(rest) - len(stripped)
            rest = stripped
        found.append(_Line(number, indent, rest))
    return found


def _block(lines: list[_Line], at: int, depth: int = 0) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise form_error(f"The YAML is nested more than {_DEEPEST} levels.")
    if at >= len(lines):
        raise form_error("The YAML ends too early.")
    line = lines[at]
    if line.text == "-":
        return _list(lines, at, depth)
    if _PAIR.fullmatch(line.text):
        return _mapping(lines, at, depth)
    return _scalar(line.text, line.number), at + 1


def _list(lines: list[_Line], at: int, depth: int) -> tuple[list[Any], int]:
    indent, items = lines[at].indent, []
    while at < len(lines) and lines[at].indent == indent and lines[at].text == "-":
        item, at = _block(lines, at + 1, depth + 1)
        items.append(item)
    return items, at


def _mapping(lines: list[_Line], at: int, depth: int) -> tuple[dict[str, Any], int]:
    indent, pairs = lines[at].indent, {}
    while at < len(lines) and lines[at].indent == indent and lines[at].text != "-":
        line = lines[at]
        pair = _PAIR.fullmatch(line.text)
        if pair is None:
            raise form_error(f"line {line.number}: '{line.text[:40]}' is not a field of YAML with a plain name.")
        if pair["key"] in pairs:
            raise form_error(f"line {line.number}: the field {pair['key']} appears twice.")
        at += 1
        if pair["value"] is not None:
            pairs[pair["key"]] = _scalar(pair["value"], line.number)
        elif at < len(lines) and (lines[at].indent > indent or (lines[at].indent == indent and lines[at].text == "-")):
            pairs[pair["key"]], at = _block(lines, at, depth + 1)
        else:
            pairs[pair["key"]] = None
    return pairs, at


def _scalar(text: str, number: int) -> Any:
    if text in _FLAGS:
        return _FLAGS[text]
    if text in _EMPTY:
        return _EMPTY[text]
    if re.fullmatch(r"0|[1-9][0-9]{0,19}", text):
        return int(text)
    if not _SCALAR.fullmatch(text) or (text[0].isdigit() and text[-1].isdigit()):
        raise form_error(f"line {number}: '{text[:40]}' is not a plain value of YAML.")
    return text
