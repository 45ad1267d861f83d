"""Text that is safe to show on a terminal or to log, in lines that fit."""

from __future__ import annotations

import os
import textwrap
from typing import TextIO


def printable(text: str) -> str:
    """Return the text with a question mark for each character that does not print: escape sequences, line ends."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def printable_lines(text: str) -> str:
    """Return the text as `printable` does, but keep its line ends."""
    return "\n".join(map(printable, text.split("\n")))


def folded(text: str, columns: int | None, indent: str = "") -> str:
    """Return the text with each line indented and broken at blanks to fit `columns`; None breaks no line.

    A terminal itself breaks lines within words. Longer words, such as paths, stay whole so that they can be copied.
    """
    return "\n".join(_folded_line(line, columns, indent) for line in text.split("\n"))


def _folded_line(line: str, columns: int | None, indent: str) -> str:
    words = line.lstrip(" ")
    indent += " " * (len(line) - len(words))
    if columns is None or len(indent) + len(words) <= columns:
        return indent + words
    room = max(columns - len(indent), 1)
    parts = textwrap.wrap(words, room, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
    return "\n".join(indent + part for part in parts)


def terminal_columns(stream: TextIO | None) -> int | None:
    """Return the width of the terminal behind a stream in columns; None if it is not a terminal or does not tell."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None if stream is not None else None
    except (OSError, ValueError):  # not a terminal, or not a file
        return None
