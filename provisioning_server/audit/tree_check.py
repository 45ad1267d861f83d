"""Hash every entry of a log again, and compare with its tiles, its head and older checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from atcaprov.errors import UsageError
from atcaprov.transparency.merkle import EMPTY_ROOT, HASH_SIZE, leaf_hash
from atcaprov.transparency.tiles import TILE_HEIGHT, TILE_WIDTH, TiledTree, read_hashes
from provisioning_server.audit.findings import AuditReport
from provisioning_server.audit.log_source import LogSource

TakeEntry = Callable[[int, bytes], None]
"""Look at an entry, by index and bytes."""


class TreeCheck:
    """One pass over all entries of a log, in order and in memory that does not grow with the log."""

    def __init__(self, source: LogSource, report: AuditReport, sizes: Iterable[int] = ()) -> None:
        """`sizes` are numbers of entries at which the root is wanted, such as that of an older checkpoint."""
        self._source = source
        self._report = report
        self._sizes = sorted({size for size in sizes if size <= source.head().size})
        self._tree = TiledTree()
        self.roots: dict[int, bytes] = {0: EMPTY_ROOT}
        """The root that the entries really have at each wanted size, and at the end."""

    def run(self, take: TakeEntry) -> None:
        """Check all entries and tiles, and give each entry to `take`."""
        size = self._source.head().size
        for number in range(-(-size // TILE_WIDTH)):
            start = number * TILE_WIDTH
            count = min(TILE_WIDTH, size - start)
            entries = self._entries(number, count)
            hashes = [leaf_hash(entry) for entry in entries]
            self._compare_leaves(number, start, hashes)
            self._grow(start, hashes)
            for index, entry in enumerate(entries, start):
                take(index, entry)
        for level, partial in enumerate(self._tree.partial):
            if level and partial:
                self._compare_tile(level, size >> TILE_HEIGHT * (level + 1), partial)
        self.roots[size] = self._tree.root
        if self._tree.root != self._source.head().root:
            self._report.find("root-differs", f"The {size} entries do not have the root that the log says.")

    def _entries(self, number: int, count: int) -> Sequence[bytes]:
        try:
            return self._source.bundle(number)
        except UsageError as error:
            last = number * TILE_WIDTH + count - 1
            self._report.find(
                "entries-missing", f"Entries {number * TILE_WIDTH} to {last} cannot be read: {error.what}", last
            )
            return [b""] * count

    def _compare_leaves(self, number: int, start: int, hashes: Sequence[bytes]) -> None:
        tile = self._tile(0, number, len(hashes))
        for place, found in enumerate(hashes):
            if tile and tile[place * HASH_SIZE : (place + 1) * HASH_SIZE] != found:
                self._report.find(
                    "entry-changed", "The entry does not have the hash that the log has of it.", start + place
                )

    def _grow(self, start: int, hashes: Sequence[bytes]) -> None:
        """Append the leaves, with a stop at each wanted size, and compare the tiles above the leaves."""
        done = 0
        for size in [one for one in self._sizes if start < one < start + len(hashes)]:
            self._append(hashes[done : size - start])
            done = size - start
            self.roots[size] = self._tree.root
        self._append(hashes[done:])
        if self._tree.size in self._sizes:
            self.roots[self._tree.size] = self._tree.root

    def _append(self, hashes: Sequence[bytes]) -> None:
        growth = self._tree.append(hashes)
        self._tree = growth.tree
        for tile in growth.tiles:
            if tile.level and tile.width == TILE_WIDTH:
                self._compare_tile(tile.level, tile.number, tile.hashes)

    def _compare_tile(self, level: int, number: int, hashes: bytes) -> None:
        found = self._tile(level, number, len(hashes) // HASH_SIZE)
        if found and found != hashes:
            self._report.find("tile-differs", f"Tile {number} of level {level} does not fit the entries below it.")

    def _tile(self, level: int, number: int, width: int) -> bytes:
        """Return the first `width` hashes of a tile; empty if they cannot be read, which is a finding."""
        try:
            return read_hashes(self._source.tile, level, number, width)
        except UsageError as error:
            self._report.find("tile-missing", f"Tile {number} of level {level} cannot be read: {error.what}")
            return b""
