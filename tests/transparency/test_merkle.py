from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.transparency.merkle import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from tests.transparency import reference_tree

VECTORS: Final = json.loads((Path(__file__).parent.parent / "vectors" / "merkle-trees.json").read_text())["vectors"]
ROOTS: Final = [bytes.fromhex(root) for root in VECTORS["trees"]["roots"]]
LEAVES: Final = [bytes.fromhex(leaf) for leaf in VECTORS["trees"]["leaf_hashes"]]
ENTRIES: Final = [b"%d" % number for number in range(40)]


def hashes(proof: list[str]) -> list[bytes]:
    return [bytes.fromhex(node) for node in proof]


def test_published_leaf_hashes_and_empty_root() -> None:
    assert [leaf_hash(bytes.fromhex(entry)) for entry in VECTORS["trees"]["entries"]] == LEAVES
    assert ROOTS[0] == EMPTY_ROOT


@pytest.mark.parametrize("row", VECTORS["inclusion"]["rows"])
def test_published_inclusion_proofs_verify(row: dict[str, object]) -> None:
    index, size, proof = row["index"], row["size"], row["proof"]
    assert isinstance(index, int)
    assert isinstance(size, int)
    assert isinstance(proof, list)
    verify_inclusion(LEAVES[index], index, size, hashes(proof), ROOTS[size])
    with pytest.raises(UsageError) as caught:
        verify_inclusion(LEAVES[index], index, size, [*hashes(proof), ROOTS[0]], ROOTS[size])
    assert caught.value.code == Code.LOG_MISMATCH


@pytest.mark.parametrize("row", VECTORS["consistency"]["rows"])
def test_published_consistency_proofs_verify(row: dict[str, object]) -> None:
    old, new, proof = row["old"], row["new"], row["proof"]
    assert isinstance(old, int)
    assert isinstance(new, int)
    assert isinstance(proof, list)
    verify_consistency(old, ROOTS[old], new, ROOTS[new], hashes(proof))
    with pytest.raises(UsageError) as caught:
        verify_consistency(old, ROOTS[old], new, ROOTS[new], [*hashes(proof), ROOTS[0]])
    assert caught.value.code == Code.LOG_MISMATCH


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(1, len(ENTRIES)))
    return draw(st.integers(0, size - 1)), size


@given(places(), st.data())
def test_inclusion_proof_holds_for_its_place_only(place: tuple[int, int], data: st.DataObject) -> None:
    index, size = place
    proof, root = reference_tree.path(index, ENTRIES[:size]), reference_tree.root(ENTRIES[:size])
    verify_inclusion(leaf_hash(ENTRIES[index]), index, size, proof, root)
    other = data.draw(st.integers(0, size).filter(lambda number: number != index))
    with pytest.raises(UsageError):
        verify_inclusion(leaf_hash(ENTRIES[index]), other, size, proof, root)
    with pytest.raises(UsageError):
        verify_inclusion(leaf_hash(b"other"), index, size, proof, root)


@given(places(), st.data())
def test_changed_inclusion_proof_is_refused(place: tuple[int, int], data: st.DataObject) -> None:
    index, size = place
    proof, root = reference_tree.path(index, ENTRIES[:size]), reference_tree.root(ENTRIES[:size])
    with pytest.raises(UsageError):
        verify_inclusion(leaf_hash(ENTRIES[index]), index, size, data.draw(changes(proof)), root)


@given(places(), st.data())
def test_consistency_proof_holds_for_its_roots_only(place: tuple[int, int], data: st.DataObject) -> None:
    old, new = place[0] + 1, place[1]
    proof = reference_tree.proof(old, ENTRIES[:new])
    old_root, new_root = reference_tree.root(ENTRIES[:old]), reference_tree.root(ENTRIES[:new])
    verify_consistency(old, old_root, new, new_root, proof)
    forged = reference_tree.root([b"forged", *ENTRIES[1:old]])
    for wrong in ((old, forged, new, new_root, proof), (old, old_root, new, forged, proof)):
        with pytest.raises(UsageError):
            verify_consistency(*wrong)
    with pytest.raises(UsageError):
        verify_consistency(old, old_root, new, new_root, data.draw(changes(proof)))


def test_every_tree_continues_the_empty_one() -> None:
    verify_consistency(0, EMPTY_ROOT, 8, ROOTS[8], [])
    with pytest.raises(UsageError):
        verify_consistency(0, ROOTS[1], 8, ROOTS[8], [])
    with pytest.raises(UsageError):
        verify_consistency(0, EMPTY_ROOT, 8, ROOTS[8], [ROOTS[1]])


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0)])
def test_no_entry_is_outside_its_log(index: int, size: int) -> None:
    with pytest.raises(UsageError) as caught:
        verify_inclusion(LEAVES[0], index, size, [], ROOTS[1])
    assert caught.value.code == Code.LOG_INVALID


def test_log_that_shrank_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        verify_consistency(8, ROOTS[8], 7, ROOTS[7], [])
    assert caught.value.code == Code.LOG_INVALID


@st.composite
def changes(draw: st.DrawFn, proof: list[bytes]) -> list[bytes]:
    """Return the proof with a hash more, a hash less, or one bit flipped."""
    kind = draw(st.sampled_from(["more", "less", "flipped"] if proof else ["more"]))
    place = draw(st.integers(0, max(0, len(proof) - 1)))
    if kind == "more":
        return [*proof[:place], draw(st.binary(min_size=32, max_size=32)), *proof[place:]]
    if kind == "less":
        return proof[:place] + proof[place + 1 :]
    number = draw(st.integers(0, 255))
    flipped = int.from_bytes(proof[place], "big") ^ (1 << number)
    return [*proof[:place], flipped.to_bytes(32, "big"), *proof[place + 1 :]]
