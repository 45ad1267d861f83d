"""Bytes that are written with one digit: right only where no byte of the text has a leading zero."""

from __future__ import annotations

from collections.abc import Sequence

from atcaprov.config_zone.forms.reading import Place, form_error

_SHORT = len("0x1")


def require_one_style(words: Sequence[str], places: Sequence[Place]) -> None:
    """Raise UsageError if a byte such as 0x1 stands beside one such as 0x01: then a digit is missing.

    A program that prints bytes without leading zeros prints none with one.
    """
    hexadecimal = [(word, place) for word, place in zip(words, places, strict=True) if word[:2].lower() == "0x"]
    short = [(word, place) for word, place in hexadecimal if len(word) == _SHORT]
    if short and any(len(word) > _SHORT and word[2] == "0" for word, _ in hexadecimal):
        word, place = short[0]
        raise form_error(
            f"{place}: {word} has one digit, but other bytes have a leading zero.",
            "Look for a digit that was lost, and write each byte with two.",
        )
