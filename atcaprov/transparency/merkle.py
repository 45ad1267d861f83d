"""Hashes and proofs of Merkle trees: RFC 6962, section 2.1; the checks are those of RFC 9162, sections 2.1.3 and 2.1.4.

A leaf hash is SHA-256(00 || entry), a node hash SHA-256(01 || left || right). A proof is a list of 32-byte hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NoReturn

from atcaprov.errors import Code, UsageError

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without entries."""

MAX_SIZE: Final = (1 << 63) - 1
"""More entries than any log has: the limit of the signed numbers in which other programs keep a size."""

Range = tuple[int, int]
"""Entries from the first index up to the second, which is not in it."""

_ADVICE: Final = "The log or the proof was changed, or they are not of the same log."


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry (32 bytes)."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children (32 bytes each)."""
    return sha256(b"\1" + left + right).digest()


def pair_hashes(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the parents of a row of nodes. The last one of an odd row is left out."""
    lefts, rights = hashes[0::2], hashes[1::2]
    return [sha256(b"\1" + left + right).digest() for left, right in zip(lefts, rights, strict=False)]


def join_subtrees(subtrees: Sequence[bytes]) -> bytes:
    """Return the root over the complete subtrees that a tree consists of, from left (the largest) to right."""
    if not subtrees:
        return EMPTY_ROOT
    root = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        root = node_hash(left, root)
    return root


def complete_subtrees(start: int, end: int) -> list[Range]:
    """Return the ranges of the complete subtrees that `start` to `end` consists of, largest first.

    `start` must be a multiple of the largest power of two that is not above the number of entries.
    """
    ranges: list[Range] = []
    while start < end:
        step = 1 << ((end - start).bit_length() - 1)
        ranges.append((start, start + step))
        start += step
    return ranges


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return whose roots an inclusion proof consists of, from the sibling of the leaf to the child of the root."""
    if not 0 <= index < size:
        raise UsageError(f"A log with {size} entries has no entry {index}.", code=Code.LOG_INVALID)
    start, end, ranges = 0, size, list[Range]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, new_size: int) -> list[Range]:
    """Return whose roots a proof consists of that a tree begins with the entries of an older one."""
    if not 0 <= old_size <= new_size:
        raise UsageError(f"A log with {new_size} entries never had {old_size}.", code=Code.LOG_INVALID)
    if old_size in {0, new_size}:
        return []
    start, end, ranges = 0, new_size, list[Range]()
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ([(start, end)] if start else []) + ranges[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash `leaf` is at `index` in the tree with `size` entries and the root `root`.

    Raises:
        UsageError: LOG_MISMATCH if the proof does not show it; LOG_INVALID if no such tree has such an entry.
    """
    if not 0 <= index < size:
        raise UsageError(f"A log with {size} entries has no entry {index}.", code=Code.LOG_INVALID)
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            _refuse(f"The inclusion proof of entry {index} is too long.")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last or found != root:
        _refuse(f"Entry {index} is not in the log with {size} entries and this root.")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `new_size` entries begins with the entries of the tree of `old_size`.

    Raises:
        UsageError: LOG_MISMATCH if the proof does not show it; LOG_INVALID if the new tree is the smaller one.
    """
    if not 0 <= old_size <= new_size:
        raise UsageError(f"A log with {new_size} entries never had {old_size}.", code=Code.LOG_INVALID)
    if old_size in {0, new_size}:
        fits = not proof and (old_root == (EMPTY_ROOT if old_size == 0 else new_root))
    else:
        fits = _roots_by_proof(old_size, new_size, old_root, proof) == (old_root, new_root)
    if not fits:
        _refuse(f"The log with {new_size} entries does not continue the log with {old_size} entries.")


def _roots_by_proof(
    old_size: int, new_size: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    """Return the two roots that a proof leads to; None if it is too short or too long."""
    whole = old_size & (old_size - 1) == 0
    path = [old_root, *proof] if whole else list(proof)
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not path:
        return None
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return (old, new) if last == 0 else None


def _split(size: int) -> int:
    """Return the largest power of two below `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _refuse(what: str) -> NoReturn:
    raise UsageError(what, advice=_ADVICE, code=Code.LOG_MISMATCH)
