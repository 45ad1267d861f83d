"""The Merkle tree of a log as tiles of 256 hashes: C2SP tlog-tiles (https://c2sp.org/tlog-tiles).

Tile `number` of level 0 holds the leaf hashes of entries 256 * number and following; each hash of a tile of level L + 1
is the root over a full tile of level L. The last tile of a level may be partial. A tree needs only its partial tiles to
grow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from atcaprov.errors import Code, UsageError
from atcaprov.transparency.merkle import (
    HASH_SIZE,
    Range,
    complete_subtrees,
    consistency_ranges,
    inclusion_ranges,
    join_subtrees,
    pair_hashes,
)

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
FULL_TILE: Final = TILE_WIDTH * HASH_SIZE
"""Bytes of a full tile."""

TileReader = Callable[[int, int], bytes]
"""Return the hashes of a tile by its level and number; it may hold more of them than a smaller tree has."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile: its level and number from 0, and its hashes, 32 bytes each, at most 256."""

    level: int
    number: int
    hashes: bytes

    @property
    def width(self) -> int:
        """Return how many hashes it has."""
        return len(self.hashes) // HASH_SIZE


@dataclass(frozen=True, slots=True)
class Growth:
    """A tree after some leaves were appended, and the tiles that are new or longer, as they are now."""

    tree: TiledTree
    tiles: list[Tile]


@dataclass(frozen=True, slots=True)
class TiledTree:
    """A tree that can grow; it never changes, `append` returns the next one.

    `partial` has the hashes of the last, partial tile of each level, empty where every tile is full; `edges` has at
    height h the root of the rightmost complete subtree with 2**h leaves that has no parent yet, empty if there is none.
    """

    size: int = 0
    edges: tuple[bytes, ...] = ()
    partial: tuple[bytes, ...] = ()

    @classmethod
    def restore(cls, size: int, read_tile: TileReader) -> Self:
        """Make the tree with `size` entries from its stored tiles.

        Raises:
            UsageError: LOG_INVALID if a tile has too few hashes, or not whole ones.
        """
        edges, partial = list[bytes](), list[bytes]()
        level = 0
        while size >> (TILE_HEIGHT * level):
            number, width = divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)
            hashes = read_hashes(read_tile, level, number, width) if width else b""
            partial.append(hashes)
            edges += _edges_in(hashes)
            level += 1
        return cls(size, tuple(edges), tuple(partial))

    @property
    def root(self) -> bytes:
        """Return the root over all entries (32 bytes)."""
        return join_subtrees([edge for edge in reversed(self.edges) if edge])

    def append(self, leaf_hashes: Sequence[bytes]) -> Growth:
        """Append leaves by their hashes (32 bytes each)."""
        edges, partial = list(self.edges), list(self.partial)
        tiles = list[Tile]()
        height, row = 0, leaf_hashes
        while row:
            level, inner = divmod(height, TILE_HEIGHT)
            if inner == 0:
                if level == len(partial):
                    partial.append(b"")
                    edges += [b""] * TILE_HEIGHT
                number = self.size >> (height + TILE_HEIGHT)
                partial[level] = _cut(tiles, level, number, partial[level] + b"".join(row))
            if edges[height]:
                row = [edges[height], *row]
            edges[height] = row[-1] if len(row) & 1 else b""
            row = pair_hashes(row)
            height += 1
        return Growth(TiledTree(self.size + len(leaf_hashes), tuple(edges), tuple(partial)), tiles)


def _cut(tiles: list[Tile], level: int, number: int, hashes: bytes) -> bytes:
    """Cut the hashes of a level into tiles from `number` on, add them to `tiles`, and return the partial one."""
    whole = len(hashes) // FULL_TILE
    tiles += [Tile(level, number + step, hashes[step * FULL_TILE : (step + 1) * FULL_TILE]) for step in range(whole)]
    rest = hashes[whole * FULL_TILE :]
    if rest:
        tiles.append(Tile(level, number + whole, rest))
    return rest


def _edges_in(hashes: bytes) -> list[bytes]:
    """Return the edges for the 8 heights of a partial tile."""
    row, edges = split_hashes(hashes), list[bytes]()
    for _ in range(TILE_HEIGHT):
        edges.append(row[-1] if len(row) & 1 else b"")
        row = pair_hashes(row)
    return edges


def split_hashes(hashes: bytes) -> list[bytes]:
    """Return the single hashes of a tile."""
    return [hashes[offset : offset + HASH_SIZE] for offset in range(0, len(hashes), HASH_SIZE)]


def read_hashes(read_tile: TileReader, level: int, number: int, width: int) -> bytes:
    """Return the first `width` hashes of a tile.

    Raises:
        UsageError: LOG_INVALID if it has fewer, or not whole ones.
    """
    hashes = read_tile(level, number)
    if len(hashes) % HASH_SIZE or not width * HASH_SIZE <= len(hashes) <= FULL_TILE:
        raise UsageError(
            f"Tile {number} of level {level} has {len(hashes)} bytes; it needs at least {width * HASH_SIZE}, at most "
            f"{FULL_TILE}, and {HASH_SIZE} for each hash.",
            advice="The log is damaged. Restore it from a backup.",
            code=Code.LOG_INVALID,
        )
    return hashes[: width * HASH_SIZE]


def range_root(entries: Range, read_tile: TileReader) -> bytes:
    """Return the root over a range of entries that is a node of a tree, from tiles."""
    return join_subtrees([_subtree_root(start, end, read_tile) for start, end in complete_subtrees(*entries)])


def _subtree_root(start: int, end: int, read_tile: TileReader) -> bytes:
    level, inner = divmod((end - start).bit_length() - 1, TILE_HEIGHT)
    number, place = divmod(start >> (TILE_HEIGHT * level), TILE_WIDTH)
    hashes = read_hashes(read_tile, level, number, place + (1 << inner))
    row = split_hashes(hashes[place * HASH_SIZE :])
    for _ in range(inner):
        row = pair_hashes(row)
    return row[0]


def tree_root(size: int, read_tile: TileReader) -> bytes:
    """Return the root of the tree with `size` entries, from tiles."""
    return range_root((0, size), read_tile)


def inclusion_proof(index: int, size: int, read_tile: TileReader) -> list[bytes]:
    """Return the proof that entry `index` is in the tree with `size` entries.

    Raises:
        UsageError: LOG_INVALID if there is no such entry, or a tile is too short.
    """
    return [range_root(entries, read_tile) for entries in inclusion_ranges(index, size)]


def consistency_proof(old_size: int, new_size: int, read_tile: TileReader) -> list[bytes]:
    """Return the proof that the tree with `new_size` entries begins with the entries of that with `old_size`.

    Raises:
        UsageError: LOG_INVALID if the new tree is the smaller one, or a tile is too short.
    """
    return [range_root(entries, read_tile) for entries in consistency_ranges(old_size, new_size)]
