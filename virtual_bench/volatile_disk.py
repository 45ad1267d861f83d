"""A disk with a volatile write cache, and what is left on it after a power cut.

A write that was answered stands in the cache until a flush. At a cut each sector holds one of the contents that were
written to it since the last flush, or the flushed one: disks reorder writes, and tear them at sectors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

SECTOR: Final = 512
_TORN_SHARE: Final = 0.2
"""How many of the writes are torn at a cut that tears."""


@dataclass(frozen=True, slots=True)
class Version:
    """What one write has put into one sector; `write` counts the writes."""

    write: int
    data: bytes


class Loss(Enum):
    """What a power cut drops. The cache is written back in order, or in any order."""

    ALL = "all that was not flushed"
    TAIL = "the last writes, the first of them torn"
    ANY = "any writes, some of them torn"
    SECTORS = "any sectors"


@dataclass(frozen=True)
class DiskAtCut:
    """The disk at one moment: what was flushed, and the versions of each sector since, oldest first."""

    flushed: bytes
    held: dict[int, tuple[Version, ...]]

    @property
    def held_writes(self) -> int:
        """Return how many writes were answered and not flushed."""
        return len(set(self._writes()))

    def after_cut(self, loss: Loss, random: Random) -> bytes:
        """Return the whole disk as a cut at this moment leaves it."""
        survives = _survival(loss, sorted(set(self._writes())), random)
        image = bytearray(self.flushed)
        for sector, versions in sorted(self.held.items()):
            left = [version for version in versions if survives(version.write)]
            if left:
                image[sector * SECTOR : (sector + 1) * SECTOR] = left[-1].data
        return bytes(image)

    def _writes(self) -> Iterator[int]:
        return (version.write for versions in self.held.values() for version in versions)


def _survival(loss: Loss, writes: list[int], random: Random) -> Callable[[int], bool]:
    """Return what tells, sector after sector, whether a write has reached it."""
    share = random.random()
    if loss is Loss.ALL or not writes:
        return lambda _: False
    if loss is Loss.SECTORS:
        return lambda _: random.random() < share
    torn: set[int]
    if loss is Loss.TAIL:
        last = random.choice(writes)
        kept, torn = {write for write in writes if write < last}, {last}
    else:
        kept = {write for write in writes if random.random() < share}
        torn = {write for write in writes if random.random() < _TORN_SHARE}
    return lambda write: random.random() < 0.5 if write in torn else write in kept


def _ignore() -> None:
    """Do nothing."""


class VolatileDisk:
    """The disk: whole sectors are written. May be used by several threads."""

    def __init__(self, image: bytes) -> None:
        self._flushed = bytearray(image)
        self._seen = bytearray(image)
        self._held: dict[int, list[Version]] = {}
        self._lock = threading.Lock()
        self.writes = 0
        self.flushes = 0
        """Flushes that found something to write back."""
        self.watch: Callable[[], None] = _ignore
        """Called when something new stands in the cache, and before it is written back."""

    @property
    def size(self) -> int:
        """Return its size in bytes."""
        return len(self._seen)

    def read(self, offset: int, length: int) -> bytes:
        """Return what was written last, flushed or not."""
        with self._lock:
            return bytes(self._seen[offset : offset + length])

    def write(self, offset: int, data: bytes, *, durable: bool = False) -> None:
        """Write into the cache; with `durable` (force unit access) past it."""
        assert offset % SECTOR == len(data) % SECTOR == 0
        with self._lock:
            self.writes += 1
            self._seen[offset : offset + len(data)] = data
            for start in range(0, len(data), SECTOR):
                part, sector = data[start : start + SECTOR], (offset + start) // SECTOR
                if durable:
                    self._held.pop(sector, None)
                    self._flushed[offset + start : offset + start + SECTOR] = part
                else:
                    self._held.setdefault(sector, []).append(Version(self.writes, part))
        self.watch()

    def flush(self) -> None:
        """Make all that was written before durable."""
        self.watch()
        with self._lock:
            self.flushes += bool(self._held)
            for sector, versions in self._held.items():
                self._flushed[sector * SECTOR : (sector + 1) * SECTOR] = versions[-1].data
            self._held.clear()

    def at_cut(self) -> DiskAtCut:
        """Return the disk at this moment; it goes on."""
        with self._lock:
            held = {sector: tuple(versions) for sector, versions in self._held.items()}
            return DiskAtCut(bytes(self._flushed), held)
