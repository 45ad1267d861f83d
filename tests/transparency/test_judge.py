"""What Go's sumdb/note and sumdb/tlog say of our notes, trees and proofs."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from atcaprov.transparency.checkpoint import Checkpoint, SignedCheckpoint
from atcaprov.transparency.merkle import leaf_hash
from atcaprov.transparency.tile_files import TilePath, pack_bundle
from atcaprov.transparency.tiles import TILE_WIDTH, TiledTree, consistency_proof, tree_root
from atcaprov.transparency.verifier_keys import p256_verifier_key
from tests.support.log_judge import log_judge
from tests.transparency.known_notes import LOG, ORIGIN, WITNESS, proof, signed_checkpoint

pytestmark = pytest.mark.slow

SIZE = 700
ENTRIES = [b"entry %d" % number for number in range(SIZE)]


class P256Signer:
    """A P-256 key of a log."""

    def __init__(self) -> None:
        self._private = ec.derive_private_key(0x1234567, ec.SECP256R1())
        self.key = p256_verifier_key(ORIGIN, self._private.public_key())

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text, ec.ECDSA(SHA256()))


def stored(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log as a static folder."""
    growth = TiledTree().append([leaf_hash(entry) for entry in ENTRIES])
    for tile in growth.tiles:
        stored(tmp_path / str(TilePath(tile.level, tile.number, tile.width)), tile.hashes)
    for start in range(0, SIZE, TILE_WIDTH):
        bundle = ENTRIES[start : start + TILE_WIDTH]
        stored(tmp_path / str(TilePath(None, start // TILE_WIDTH, len(bundle))), pack_bundle(bundle))
    checkpoint(SIZE).verify(LOG.key)
    stored(tmp_path / "checkpoint", checkpoint(SIZE).to_bytes())
    return tmp_path


def tiles(level: int, number: int) -> bytes:
    growth = TiledTree().append([leaf_hash(entry) for entry in ENTRIES])
    return {(tile.level, tile.number): tile.hashes for tile in growth.tiles}[level, number]


def checkpoint(size: int) -> SignedCheckpoint:
    return Checkpoint(ORIGIN, size, tree_root(size, tiles)).signed_by(LOG).cosigned_by(WITNESS)


def test_note_with_all_types_of_signatures_opens(tmp_path: Path) -> None:
    module = P256Signer()
    signed = signed_checkpoint().cosigned_by(module)
    note = stored(tmp_path / "note", signed.to_bytes())
    root = b64encode(signed.checkpoint.root).decode()
    assert log_judge().open(note, str(LOG.key), str(WITNESS.key), str(module.key)) == f"{ORIGIN} 5 {root}"
    stored(note, signed.to_bytes().replace(b"an extension", b"no extension"))
    for key in (LOG.key, WITNESS.key, module.key):
        with pytest.raises(AssertionError, match="invalid signature"):
            log_judge().open(note, str(key))


@pytest.mark.parametrize("old_size", [1, 255, 256, 257, 512, 699, 700])
def test_folder_is_a_log_that_continues_its_older_checkpoints(folder: Path, old_size: int) -> None:
    old = stored(folder / "old", checkpoint(old_size).to_bytes())
    found = log_judge().log(folder, str(LOG.key), str(WITNESS.key), old=old)
    assert found.startswith(f"{ORIGIN} {SIZE} ")


def test_judge_finds_a_changed_entry(folder: Path) -> None:
    bundle = folder / str(TilePath(None, 2, SIZE - 512))
    stored(bundle, bundle.read_bytes().replace(b"entry 600", b"entry 6O0"))
    with pytest.raises(AssertionError, match="entry 600"):
        log_judge().log(folder, str(LOG.key))


def test_proof_file_of_an_entry_holds(tmp_path: Path) -> None:
    one = stored(tmp_path / "one.tlog-proof", proof().to_bytes())
    entry = stored(tmp_path / "entry", b"3")
    assert log_judge().proof(one, entry, str(LOG.key), str(WITNESS.key)) == f"{ORIGIN} 5 3"
    with pytest.raises(AssertionError, match="invalid transparency proof"):
        log_judge().proof(one, stored(entry, b"2"), str(LOG.key))


@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 7), (256, 700), (511, 513), (699, 700)])
def test_consistency_proof_holds(old: int, new: int) -> None:
    hashes = [b64encode(node).decode() for node in consistency_proof(old, new, tiles)]
    roots = [b64encode(tree_root(size, tiles)).decode() for size in (old, new)]
    log_judge().growth(str(old), roots[0], str(new), roots[1], *hashes)
    with pytest.raises(AssertionError, match="invalid transparency proof"):
        log_judge().growth(str(old), roots[1], str(new), roots[0], *hashes)
