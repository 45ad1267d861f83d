"""Lines of CSV (RFC 4180) that a spreadsheet takes as data, never as formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

_STARTS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What OWASP's page on CSV injection names. A quotation mark in front makes it a text in every spreadsheet."""


class CsvLines:
    """Makes one line after the other."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\r\n")

    def line(self, fields: Iterable[str | int | None]) -> str:
        """Return a line with its end. None is an empty field."""
        self._writer.writerow([_harmless(field) for field in fields])
        line = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return line


def _harmless(field: str | int | None) -> str | int:
    if field is None:
        return ""
    if isinstance(field, str) and field.startswith(_STARTS_A_FORMULA):
        return f"'{field}"
    return field
