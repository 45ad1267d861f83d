"""A line of a file or descriptor that passwords are given in, for every program that reads one."""

from __future__ import annotations

from typing import Final

_MARK: Final = b"\xef\xbb\xbf"


def without_mark(line: bytes) -> bytes:
    """Return a line without the byte order mark (UTF-8) that some editors put before a text: nobody types it."""
    return line.removeprefix(_MARK)
