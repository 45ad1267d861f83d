from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.transparency.merkle import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from atcaprov.transparency.tiles import TiledTree, consistency_proof, inclusion_proof, tree_root
from tests.transparency import reference_tree
from tests.transparency.test_merkle import LEAVES, ROOTS

ENTRIES: Final = [b"entry %d" % number for number in range(700)]
HASHES: Final = [leaf_hash(entry) for entry in ENTRIES]
LARGE: Final = 66_000
"""More entries than one tile of level 1 covers."""


class StoredTiles:
    """Tiles as a database keeps them: the last form of each."""

    def __init__(self) -> None:
        self.tree = TiledTree()
        self.tiles: dict[tuple[int, int], bytes] = {}

    def append(self, leaf_hashes: list[bytes]) -> None:
        growth = self.tree.append(leaf_hashes)
        self.tree = growth.tree
        for tile in growth.tiles:
            self.tiles[tile.level, tile.number] = tile.hashes

    def read(self, level: int, number: int) -> bytes:
        return self.tiles[level, number]


@pytest.fixture(scope="module")
def large() -> StoredTiles:
    stored = StoredTiles()
    stored.append([leaf_hash(b"%d" % number) for number in range(LARGE)])
    return stored


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert TiledTree().append(LEAVES[:size]).tree.root == ROOTS[size]


@given(st.lists(st.integers(0, 300), max_size=6))
def test_growth_in_any_batches_gives_the_tree_of_the_definition(batches: list[int]) -> None:
    stored, done = StoredTiles(), 0
    for batch in batches:
        taken = HASHES[done : done + batch]
        stored.append(taken)
        done += len(taken)
    assert stored.tree.size == done
    assert stored.tree.root == reference_tree.root(ENTRIES[:done])
    assert TiledTree.restore(done, stored.read) == stored.tree
    assert stored.tiles.get((0, 0), b"")[: 32 * 256] == b"".join(HASHES[: min(256, done)])


def test_append_leaves_the_tree_before_as_it_was() -> None:
    before = TiledTree().append(HASHES[:300]).tree
    root = before.root
    one, other = before.append(HASHES[300:301]).tree, before.append(HASHES[301:302]).tree
    assert before.root == root
    assert one.root == reference_tree.root(ENTRIES[:301]) != other.root


def test_append_returns_only_tiles_that_changed() -> None:
    tree = TiledTree().append(HASHES[:255]).tree
    growth = tree.append(HASHES[255:257])
    assert [(tile.level, tile.number, tile.width) for tile in growth.tiles] == [(0, 0, 256), (0, 1, 1), (1, 0, 1)]
    assert growth.tiles[2].hashes == reference_tree.root(ENTRIES[:256])
    assert [(tile.level, tile.number) for tile in growth.tree.append(HASHES[257:258]).tiles] == [(0, 1)]
    assert TiledTree().append([]).tiles == []


@given(st.integers(1, 600), st.integers(0, 100), st.data())
def test_proofs_from_tiles_are_those_of_the_definition(size: int, more: int, data: st.DataObject) -> None:
    stored = StoredTiles()
    stored.append(HASHES[: size + more])  # the log may have grown since the size that is proved
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert inclusion_proof(index, size, stored.read) == reference_tree.path(index, ENTRIES[:size])
    assert consistency_proof(old, size, stored.read) == reference_tree.proof(old, ENTRIES[:size])
    assert tree_root(size, stored.read) == reference_tree.root(ENTRIES[:size])


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 255, 256, 65_535, 65_536, LARGE - 1])
def test_proofs_over_three_levels_of_tiles(large: StoredTiles, index: int) -> None:
    root = large.tree.root
    verify_inclusion(leaf_hash(b"%d" % index), index, LARGE, inclusion_proof(index, LARGE, large.read), root)
    old = index + 1
    old_root = tree_root(old, large.read)
    verify_consistency(old, old_root, LARGE, root, consistency_proof(old, LARGE, large.read))
    assert TiledTree.restore(LARGE, large.read) == large.tree
    assert sorted(level for level, _ in large.tiles if level) == [1, 1, 2]


def test_empty_tree_has_the_published_root() -> None:
    assert TiledTree.restore(0, StoredTiles().read).root == EMPTY_ROOT == tree_root(0, StoredTiles().read)


@pytest.mark.parametrize("kept", [0, 31, 32 * 43, 32 * 44 + 1, 32 * 257])
def test_tile_of_a_wrong_length_is_refused(kept: int) -> None:
    stored = StoredTiles()
    stored.append(HASHES[:300])
    stored.tiles[0, 1] = (stored.tiles[0, 1] * 6)[:kept]
    with pytest.raises(UsageError, match="Tile 1 of level 0") as caught:
        TiledTree.restore(300, stored.read)
    assert caught.value.code == Code.LOG_INVALID
    with pytest.raises(UsageError, match="Tile 1 of level 0"):
        tree_root(300, stored.read)


def test_no_proof_for_what_never_was() -> None:
    stored = StoredTiles()
    stored.append(HASHES[:5])
    with pytest.raises(UsageError) as no_entry:
        inclusion_proof(5, 5, stored.read)
    with pytest.raises(UsageError) as no_tree:
        consistency_proof(6, 5, stored.read)
    assert no_entry.value.code == no_tree.value.code == Code.LOG_INVALID
