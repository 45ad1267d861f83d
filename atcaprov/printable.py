"""Text from chips, certificates and the network, as it may reach a terminal or a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with a question mark for each character that does not print: escape sequences, line ends."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def printable_lines(text: str) -> str:
    """As `printable`, but line ends stay."""
    return "\n".join(map(printable, text.split("\n")))
