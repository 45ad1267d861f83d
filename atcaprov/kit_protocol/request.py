"""One line of a host: `target:verb[:verb…](argument)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.kit_protocol.firmware import KitFirmware

_BOARD: Final = "board"
_CHIP_TARGETS: Final = {"e": "ecc", "s": "sha", "a": "aes", "t": "ta", "d": "device"}
_LIBRARY_PREFIX: Final = "lib"


@dataclass(frozen=True)
class Request:
    """A host's line in its parts, words in lower case."""

    target: str
    """`board` or `chip`: all chip targets share one handler."""
    words: tuple[str, ...]
    """At least one."""
    argument: str


def parse_request(line: bytes, firmware: KitFirmware) -> Request | None:
    """Parse a line without its LF; return None if `firmware` would not understand it."""
    text = line.decode("ascii", "replace").strip("\0 \r\n\t\x04")
    head, _, rest = text.partition("(")
    argument, closed, _ = rest.partition(")")
    if "(" in text and not closed and firmware.needs_closing_parenthesis:
        return None
    words = [word.strip() for word in head.lower().split(":")]
    if words[0] == _LIBRARY_PREFIX:
        words = words[1:]
    if len(words) < 2 or not all(words):
        return None
    target = _target(words[0])
    return Request(target, tuple(words[1:]), argument.strip()) if target else None


def _target(word: str) -> str:
    if _BOARD.startswith(word):
        return _BOARD
    return "chip" if (word == word[0] and word in _CHIP_TARGETS) or word in _CHIP_TARGETS.values() else ""
