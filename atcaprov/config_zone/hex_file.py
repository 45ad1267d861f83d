"""Write the hex text of a configuration zone as the guide prints it, and read it back."""

from __future__ import annotations

from typing import Final

from atcaprov.config_zone.forms.hex_text import read_hex_text

_LINE_SIZE: Final = 16


def parse_hex(text: str, *, accept_112: bool = False) -> bytes:
    """Return the 128 bytes of the zone in a hex text; see `read_hex_text`."""
    return read_hex_text(text, accept_112=accept_112).data


def format_hex(data: bytes) -> str:
    """Return a zone as the guide prints it: 16 bytes a line, two spaces in the middle, a newline after each line."""
    return "".join(_format_line(data[at : at + _LINE_SIZE]) for at in range(0, len(data), _LINE_SIZE))


def _format_line(data: bytes) -> str:
    half = _LINE_SIZE // 2
    return "  ".join(part.hex(" ").upper() for part in (data[:half], data[half:]) if part) + "\n"
