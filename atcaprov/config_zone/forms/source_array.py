"""Read arrays in source code: C, C++, Rust, Go, JavaScript, Python and Elixir, with their declaration.

Numbers mean what they mean in these languages: 0x is hexadecimal, digits alone are decimal. What would be octal, a
macro, a cast or a condition of the preprocessor is refused, and so is an array that is shorter than it is declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.config_zone.forms.hex_bytes import require_one_style
from atcaprov.config_zone.forms.reading import Lines, PlacedByte, Reading, form_error, reading_of, sizes
from atcaprov.config_zone.forms.source_text import without_comments

_GROUP: Final = re.compile(r"\{(?P<braces>[^{}\[\]]*)\}|\[(?P<brackets>[^{}\[\]]*)\]|<<(?P<binary>[^<>]*)>>")
_NUMBER: Final = re.compile(r"(?P<quote>[\"']?)(?P<digits>0[xX][0-9A-Fa-f]{1,2}|[0-9]{1,3})(?:u8|[uU])?(?P=quote)")
_OCTAL: Final = re.compile(r"0[0-9]+")
_NAME: Final = re.compile(
    r"(?P<name>[A-Za-z_]\w*)[ \t]*(?:\[[ \t]*(?P<size>\w*)[ \t]*\])?(?:[ \t]*:[^=\n]*)?\s*(?:[A-Z_]{4}\w*\s*)?:?="
    r"\s*(?:&|\[\]|\w+\s*\(|byte|uint8)*\s*$"
)
_HEX_TEXT: Final = re.compile(r"fromhex\(\s*((?:[\"'][0-9A-Fa-f\s]*[\"'][\s\\]*)+)\)")
_LENGTH: Final = re.compile(r"\b(?P<name>\w+)_len\s*=\s*(?P<count>\d+)\s*;")
_FEWEST: Final = 16
"""Numbers that make an array that may be meant."""
_BYTE_MAX: Final = 255
_NAME_REACH: Final = 300
"""Characters in front of an array in which its name is looked for."""


@dataclass(frozen=True)
class _Array:
    name: str
    values: tuple[PlacedByte, ...]

    @property
    def words(self) -> str:
        return f"an array named {self.name}" if self.name else "an array"


def read_source_array(text: str, *, accept_112: bool) -> Reading | None:
    """Return the zone of the one array of 128 bytes in a source file, None if it has no array of bytes.

    Raises:
        UsageError: an array is damaged, none has 128 bytes, or several have them and differ.
    """
    clean = without_comments(text, "//") if "{" in text else without_comments(text, "//", "#")
    arrays = [*_arrays(clean), *_hex_texts(clean)]
    if not arrays:
        return None
    fitting = [array for array in arrays if len(array.values) in sizes(accept_112=accept_112)]
    if not fitting:
        raise _wrong_sizes(arrays)
    if len({bytes(value for value, _ in array.values) for array in fitting}) > 1:
        names = ", ".join(array.name or "without a name" for array in fitting)
        raise form_error(
            f"The file holds {len(fitting)} arrays of the size of a configuration zone: {names}.",
            "Copy the one that is meant into a file of its own.",
        )
    return reading_of(fitting[0].words, fitting[0].values)


def _wrong_sizes(arrays: Sequence[_Array]) -> Exception:
    shown = "; ".join(f"{array.words} has {len(array.values)} bytes" for array in arrays[:4])
    return form_error(f"No array in the file has 128 bytes: {shown}.", "Look for a row that is missing or doubled.")


def _arrays(text: str) -> Iterator[_Array]:
    lines = Lines(text)
    lengths = {match["name"]: int(match["count"]) for match in _LENGTH.finditer(text)}
    for match in _GROUP.finditer(text):
        kind = match.lastgroup or ""
        content, start = match[kind], match.start(kind)
        words = list(re.finditer(r"[^,\s][^,]*", content))
        if sum(1 for word in words if _NUMBER.fullmatch(word.group().rstrip())) < _FEWEST:
            continue
        values = tuple(_value(word.group().rstrip(), start + word.start(), lines) for word in words)
        require_one_style([word.group().strip(" \t\r\n\"'") for word in words], [place for _, place in values])
        name, size = _declaration(text[max(0, match.start() - _NAME_REACH) : match.start()])
        _check_size(name, size, len(values))
        _check_size(name, lengths.get(name), len(values))
        yield _Array(name, values)


def _value(word: str, offset: int, lines: Lines) -> PlacedByte:
    place = lines.place(offset)
    match = _NUMBER.fullmatch(word)
    if match is None:
        shown = word.split("\n")[0][:40]
        raise form_error(
            f"{place}: {shown!r} in the array is not a byte.", "Write each byte as a number, such as 0xC0."
        )
    digits = match["digits"]
    if _OCTAL.fullmatch(digits):
        raise form_error(f"{place}: {digits} is octal in C.", "Write each byte with 0x in front.")
    if match["quote"] and digits[:2].lower() != "0x":
        raise form_error(f"{place}: the text {digits} may be hexadecimal or decimal.", "Write it with 0x in front.")
    value = int(digits, 0)
    if value > _BYTE_MAX:
        raise form_error(f"{place}: {digits} is more than a byte holds.")
    return value, place


def _declaration(before: str) -> tuple[str, int | None]:
    found = _NAME.search(before)
    if found is None:
        return "", None
    size = found["size"] or ""
    number = re.fullmatch(r"0[xX][0-9A-Fa-f]+|[1-9][0-9]*", size)
    return found["name"], int(size, 0) if number else None


def _check_size(name: str, declared: int | None, count: int) -> None:
    if declared is not None and declared != count:
        raise form_error(
            f"The array {name} is declared with {declared} bytes and gives {count}.",
            "Look for a row that is missing or doubled: C fills what is missing with 00.",
        )


def _hex_texts(text: str) -> Iterator[_Array]:
    """Give the arguments of Python's bytes.fromhex and bytearray.fromhex."""
    lines = Lines(text)
    for match in _HEX_TEXT.finditer(text):
        values = []
        for word in re.finditer(r"[0-9A-Fa-f]+", match[1]):
            if len(word.group()) % 2:
                place = lines.place(match.start(1) + word.start())
                raise form_error(f"{place}: '{word.group()[:40]}' has an odd number of digits.")
            for at in range(0, len(word.group()), 2):
                place = lines.place(match.start(1) + word.start() + at)
                values.append((int(word.group()[at : at + 2], 16), place))
        before = text[max(0, match.start() - _NAME_REACH) : match.start()]
        name = re.search(r"([A-Za-z_]\w*)\s*(?::[^=\n]*)?=\s*(?:bytes|bytearray)?\s*\.?\s*$", before)
        if len(values) >= _FEWEST:
            yield _Array(name[1] if name else "", tuple(values))
