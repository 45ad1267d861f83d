"""Comments of programs, replaced by blanks so that all other characters keep their places."""

from __future__ import annotations

import re


def without_comments(text: str, *marks: str) -> str:
    """Return a text in which C comments, and comments from one of `marks` to the end of the line, are blanks."""
    line_comments = "|".join(rf"{re.escape(mark)}[^\n]*" for mark in marks)
    closed = text.rfind("*/") + 2  # behind it no C comment ends, and looking for one from each start takes long
    head = re.sub(rf"/\*.*?\*/|{line_comments}", _blanks, text[:closed], flags=re.DOTALL) if closed > 1 else ""
    return head + re.sub(line_comments, _blanks, text[len(head) :])


def _blanks(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())
