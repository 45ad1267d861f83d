"""Read bytes as Python prints them: `b'\\x01#...'`, `bytearray(b'...')`."""

from __future__ import annotations

import ast
import re
from typing import Final

from atcaprov.config_zone.forms.reading import Reading, form_error, sizes, unplaced

_LITERAL: Final = re.compile(r"(?<!\w)b(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")")
_WORTH_NAMING: Final = 64


def read_python_bytes(text: str, *, accept_112: bool) -> Reading | None:
    """Return the zone of the only bytes literal of 128 bytes, or None without a long literal; raises UsageError."""
    found = [_value(match.group()) for match in _LITERAL.finditer(text)]
    if max(map(len, found), default=0) < _WORTH_NAMING:
        return None
    fitting = {data for data in found if len(data) in sizes(accept_112=accept_112)}
    if len(fitting) != 1:
        counts = ", ".join(str(len(data)) for data in found)
        raise form_error(f"The text has Python bytes literals with {counts} bytes; one must have 128.")
    return unplaced("a Python bytes literal", fitting.pop())


def _value(literal: str) -> bytes:
    try:
        value = ast.literal_eval(literal)
    except (SyntaxError, ValueError):
        return b""
    return value if isinstance(value, bytes) else b""
