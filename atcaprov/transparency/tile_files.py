"""Names and contents of the files of a tiled log: https://c2sp.org/tlog-tiles.

`checkpoint`, `tile/<level>/<number>` with hashes, `tile/entries/<number>` with entries, each with its length in front
(2 bytes, big-endian). A number is written in groups of three digits, all but the last with an x: 1234067 is
x001/x234/067. A partial tile of `width` has `.p/<width>` behind it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from atcaprov.transparency.line_fields import malformed
from atcaprov.transparency.merkle import MAX_SIZE
from atcaprov.transparency.tiles import TILE_HEIGHT, TILE_WIDTH

CHECKPOINT_FILE: Final = "checkpoint"
MAX_ENTRY: Final = 0xFFFF
"""Bytes of an entry."""
MAX_BUNDLE: Final = TILE_WIDTH * (2 + MAX_ENTRY)
"""Bytes of the largest file of entries."""

_MAX_LEVEL: Final = 63
_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z", re.ASCII
)


@dataclass(frozen=True, slots=True)
class TilePath:
    """Which file of a tiled log: a tile of hashes, or with `level` None a bundle of entries."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    def __str__(self) -> str:
        level = "entries" if self.level is None else self.level
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        groups = [f"{self.number % 1000:03d}"]
        rest = self.number // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a path; raises UsageError (LOG_INVALID) unless it is written as `str` writes it."""
        match = _PATH.match(text)
        if match is None:
            raise malformed("A file name of a log does not have the form of a tile.")
        level = None if match[1] == "entries" else int(match[1])
        number = int(match[2].replace("x", "").replace("/", ""))
        path = cls(level, number, int(match[3]) if match[3] else TILE_WIDTH)
        if str(path) != text or (level or 0) > _MAX_LEVEL or number > MAX_SIZE:
            raise malformed("A file name of a log does not have the form of a tile.")
        return path


def widths(size: int, level: int) -> tuple[int, int]:
    """Return how many full tiles a log of `size` entries has at a level, and the width of the partial one (0: none)."""
    return divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)


def pack_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the contents of a file of entries; raises UsageError (LOG_INVALID) if one is too long."""
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise malformed(f"An entry has {len(entry)} bytes, more than {MAX_ENTRY}.")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack_bundle(data: bytes) -> list[bytes]:
    """Return the entries of a file; raises UsageError (LOG_INVALID) if it is cut off, empty or has too many."""
    entries, offset = list[bytes](), 0
    while offset < len(data):
        length = int.from_bytes(data[offset : offset + 2], "big")
        entry = data[offset + 2 : offset + 2 + length]
        if len(data) - offset < 2 or len(entry) != length:
            raise malformed("A file of log entries is cut off.")
        entries.append(entry)
        offset += 2 + length
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise malformed(f"A file of log entries has {len(entries)} of them, not 1 to {TILE_WIDTH}.")
    return entries
