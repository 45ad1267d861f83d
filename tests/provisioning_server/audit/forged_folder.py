"""A folder of a log with any entries, its hashes computed over them: what a server that lies could export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from atcaprov.transparency.checkpoint import Checkpoint
from atcaprov.transparency.merkle import leaf_hash
from atcaprov.transparency.tile_files import TilePath, pack_bundle
from atcaprov.transparency.tiles import TILE_WIDTH, TiledTree
from atcaprov.transparency.verifier_keys import NoteSigner
from provisioning_server.ledger.changes import Event
from provisioning_server.ledger.entry_bodies import encode
from provisioning_server.records.signer_documents import SignerDocuments
from tests.provisioning_server.audit.true_ledger import SIGNER


def forge_folder(
    folder: Path,
    events: Sequence[Event | bytes],
    signer: NoteSigner,
    documents: Sequence[SignerDocuments] = (SIGNER.documents,),
) -> None:
    """Write the folder; an event may be given as the bytes of its entry."""
    bodies = [event if isinstance(event, bytes) else encode(event).encode() for event in events]
    growth = TiledTree().append([leaf_hash(body) for body in bodies])
    for tile in growth.tiles:
        _write(folder / str(TilePath(tile.level, tile.number, tile.width)), tile.hashes)
    for start in range(0, len(bodies), TILE_WIDTH):
        bundle = bodies[start : start + TILE_WIDTH]
        _write(folder / str(TilePath(None, start // TILE_WIDTH, len(bundle))), pack_bundle(bundle))
    for each in documents:
        _write(folder / "documents" / f"{each.document_id}.cbor", each.to_bytes())
    checkpoint = Checkpoint(signer.key.name, growth.tree.size, growth.tree.root)
    _write(folder / "checkpoint", checkpoint.signed_by(signer).to_bytes())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
