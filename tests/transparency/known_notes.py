"""Notes and keys that others published, and keys of the tests."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from atcaprov.transparency.checkpoint import Checkpoint, SignedCheckpoint
from atcaprov.transparency.merkle import leaf_hash
from atcaprov.transparency.tiles import TiledTree, inclusion_proof
from atcaprov.transparency.tlog_proof import TlogProof
from atcaprov.transparency.verifier_keys import Cosigner, Ed25519Signer

# golang.org/x/mod, sumdb/note/example_test.go
GO_KEY: Final = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE: Final = (
    b"If you think cryptography is the answer to your problem,\n"
    b"then you don't know what your problem is.\n\n"
    b"\xe2\x80\x94 PeterNeumann "
    b"x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

# github.com/transparency-dev/formats, note/note_verifier_test.go: two logs with P-256 keys
ECDSA_KEYS: Final = {
    "rekor": "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZLO"
    "C96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
    "pixel": "pixel6_transparency_log+91c16e30+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN+4x0Jk1yTwvLFI9A4NDdGZcX0aiWVdWM5X"
    "JVy0M4VWD3AvyW5Q6Hs9A0mcDkpUoYgn+KKPNzFC0H3nN3q6JQ8=",
}
ECDSA_NOTES: Final = {
    "rekor": b"Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n\xe2\x80\x94 rekor.sigstore.dev "
    b"wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=\n",
    "pixel": b"DEFAULT\n10\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n\n\xe2\x80\x94 pixel6_transparency_log "
    b"kcFuMDBFAiEAhqMAP8P6qf6QxtUJhzMhbN+MbZ9dwfUHzGQJmffJHtoCIGD0cNe47dHWBoPwYdgBCepB06/+g5O1FmYjXl06owL4\n",
}

# github.com/transparency-dev/formats, note/note_cosigv1_test.go: the key of a witness
WITNESS_KEY: Final = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"

ORIGIN: Final = "example.com/log"
TIME: Final = 1_679_315_147
LOG: Final = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WITNESS: Final = Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))), TIME)


def signed_checkpoint() -> SignedCheckpoint:
    """Return a checkpoint over five entries with an extension line, signed by the log and cosigned by the witness."""
    tree = TiledTree().append([leaf_hash(b"%d" % number) for number in range(5)]).tree
    return Checkpoint(ORIGIN, 5, tree.root, ("an extension",)).signed_by(LOG).cosigned_by(WITNESS)


def proof() -> TlogProof:
    """Return the proof of entry 3 of it."""
    growth = TiledTree().append([leaf_hash(b"%d" % number) for number in range(5)])
    tiles = {(tile.level, tile.number): tile.hashes for tile in growth.tiles}
    hashes = inclusion_proof(3, 5, lambda level, number: tiles[level, number])
    return TlogProof(3, tuple(hashes), signed_checkpoint(), b"more")
