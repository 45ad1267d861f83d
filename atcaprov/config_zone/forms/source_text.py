"""Comments of programs, replaced by blanks so that all other characters keep their places."""

from __future__ import annotations

import re


def without_comments(text: str, *marks: str) -> str:
    """Return a text in which C comments, and comments from one of `marks` to the end of the line, are blanks."""
    to_line_end = "".join(rf"|{re.escape(mark)}[^\n]*" for mark in marks)
    return re.sub(rf"/\*.*?\*/{to_line_end}", _blanks, text, flags=re.DOTALL)


def _blanks(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())
