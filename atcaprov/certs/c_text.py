"""Values as C source text."""

from __future__ import annotations

from typing import Final

_PER_LINE: Final = 16


def byte_array(data: bytes, indent: str = "    ") -> str:
    """Return the initialiser of an array of bytes, 16 on a line."""
    lines = [data[start : start + _PER_LINE] for start in range(0, len(data), _PER_LINE)]
    rows = [indent + ", ".join(f"0x{byte:02x}" for byte in line) for line in lines]
    return "{\n" + ",\n".join(rows) + "\n}"


def string(text: str) -> str:
    """Return a C string literal of the UTF-8 bytes; what is not plain becomes three octal digits."""
    return '"' + "".join(_escaped(byte) for byte in text.encode()) + '"'


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    # A question mark too: two of them could begin a trigraph.
    return chr(byte) if 0x20 <= byte < 0x7F and byte != 0x3F else f"\\{byte:03o}"
