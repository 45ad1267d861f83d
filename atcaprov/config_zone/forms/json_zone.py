"""Find the zone in a JSON document: a list of 128 numbers, or 128 bytes as hex digits, the only ones of their kind.

Chip files of the software chip and the reports of several tools have it so. Mongoose OS: see `mongoose_os`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from atcaprov.bounded_reading import MalformedError, parse_json
from atcaprov.config_zone.forms.mongoose_os import build_mongoose_os, is_mongoose_os
from atcaprov.config_zone.forms.reading import Reading, form_error, sizes, unplaced

_HEX: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{2}(?:[ \t\n,:]*(?:0[xX])?[0-9A-Fa-f]{2})*")
_BYTE_TEXT: Final = re.compile(r"0[xX][0-9A-Fa-f]{2}")


def read_json_zone(text: str, *, accept_112: bool) -> Reading | None:
    """Return the zone of a JSON document, None if the text is none; raises UsageError if it holds none or several."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        document = parse_json(text.encode())
    except MalformedError:
        return None
    if is_mongoose_os(document):
        return unplaced("JSON of Mongoose OS", build_mongoose_os(document))
    fitting = [(name, data) for name, data in _candidates("", document) if len(data) in sizes(accept_112=accept_112)]
    if len({data for _, data in fitting}) == 1:
        name, data = fitting[0]
        return unplaced(f"JSON, from its member {name}" if name else "JSON", data)
    if fitting:
        names = ", ".join(name for name, _ in fitting)
        raise form_error(f"The JSON has several members of 128 bytes, which differ: {names}.")
    raise form_error(
        "The JSON has no member with 128 bytes.",
        "A list of 128 numbers, or a text of 256 hex digits, is read.",
    )


def _candidates(name: str, value: Any) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _candidates(str(key), member)
    elif isinstance(value, list):
        data = _bytes_of(value)
        if data is not None:
            yield name, data
        else:
            for member in value:
                yield from _candidates(name, member)
    elif isinstance(value, str) and _HEX.fullmatch(value):
        digits = re.sub(r"0[xX]|[^0-9A-Fa-f]", "", value)
        yield name, bytes.fromhex(digits)


def _bytes_of(values: list[Any]) -> bytes | None:
    """Return the bytes of a list of numbers, or of texts with 0x; None if it is another list."""
    if values and all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFF for value in values
    ):
        return bytes(values)
    if values and all(isinstance(value, str) and _BYTE_TEXT.fullmatch(value) for value in values):
        return bytes(int(value, 16) for value in values)
    return None
