"""Read the plain hex text of a configuration zone, the form of the guide.

Bytes are pairs of hex digits with any spacing, with or without 0x and commas; `#`, `//` and `;` begin a comment that
runs to the end of the line. The first 16 bytes, serial number and revision, must be present and are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from atcaprov.chip.memory_map import CONFIG_SIZE
from atcaprov.config_zone.forms.hex_bytes import require_one_style
from atcaprov.config_zone.forms.reading import (
    WRITABLE_SIZE,
    Place,
    PlacedByte,
    Reading,
    form_error,
    reading_of,
    sizes,
)
from atcaprov.errors import UsageError

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_COMMENT: Final = re.compile(r"#|//|;")
_WORD: Final = re.compile(r"[^\s,]+")
_NOT_HEX: Final = re.compile(r"[^0-9A-Fa-f]")
_PREFIX: Final = "0x"


def read_hex_text(text: str, *, accept_112: bool) -> Reading:
    """Return the zone of a hex text.

    With `accept_112`, a text of 112 bytes is read as bytes 16-127, and the first 16 are zero.

    Raises:
        UsageError: not hex, or not 128 bytes (code config-zone-invalid), with line, column and byte.
    """
    words: list[tuple[str, Place]] = []
    found: list[PlacedByte] = []
    for word, place in _words(text):
        pairs = list(_bytes_of_word(word, place, len(found)))
        written = len(word) == len("0x1") and word[:2].lower() == _PREFIX
        words += [(word if written else f"0x{value:02x}", where) for value, where in pairs]
        found += pairs
    require_one_style([word for word, _ in words], [place for _, place in words])
    if len(found) not in sizes(accept_112=accept_112):
        raise _wrong_length(found)
    return reading_of("hex text", found)


def _words(text: str) -> Iterator[tuple[str, Place]]:
    for number, line in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        for word in _WORD.finditer(_COMMENT.split(line, maxsplit=1)[0]):
            yield word.group(), Place(number, word.start() + 1)


def _bytes_of_word(word: str, place: Place, count: int) -> Iterator[PlacedByte]:
    skipped = len(_PREFIX) if word[:2].lower() == _PREFIX else 0
    digits = word[skipped:]
    column = place.column + skipped
    stranger = _NOT_HEX.search(digits)
    if stranger is not None:
        at = Place(place.line, column + stranger.start())
        raise form_error(
            f"{at}: {stranger.group()!r} is not a hex digit (in byte {count + stranger.start() // 2}).",
            "Bytes are written as two hex digits; comments begin with #, // or ;.",
        )
    if skipped and len(digits) == 1:
        yield int(digits, 16), Place(place.line, column)
        return
    if not digits or len(digits) % 2:
        raise form_error(
            f"{place}: '{word[:40]}' has an odd number of digits or none (byte {count + len(digits) // 2}).",
            "Write each byte with two hex digits.",
        )
    for index, value in enumerate(bytes.fromhex(digits)):
        yield value, Place(place.line, column + 2 * index)


def _wrong_length(found: list[PlacedByte]) -> UsageError:
    what = f"The text holds {len(found)} bytes; a configuration zone has {CONFIG_SIZE}."
    if len(found) > CONFIG_SIZE:
        what += f" The first byte too many (byte {CONFIG_SIZE}) stands at {found[CONFIG_SIZE][1]}."
        return form_error(what, "Look for a doubled or inserted row: it moves every byte after it.")
    if found:
        what += f" It ends after byte {len(found) - 1} at {found[-1][1]}."
    if len(found) == WRITABLE_SIZE:
        return form_error(what, "If these are bytes 16-127, say so with --accept-112, or put 16 bytes in front.")
    return form_error(what, "Count 8 lines of 16 bytes; the first 16 bytes are ignored but must be there.")
