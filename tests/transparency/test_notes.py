from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from atcaprov import Code, UsageError
from atcaprov.transparency.checkpoint import Checkpoint, SignedCheckpoint
from atcaprov.transparency.merkle import leaf_hash
from atcaprov.transparency.signed_note import SignedNote, sign_note
from atcaprov.transparency.verifier_keys import (
    Cosigner,
    Ed25519Signer,
    SignatureType,
    VerifierKey,
    p256_verifier_key,
    timestamp_of,
)
from tests.transparency.known_notes import (
    ECDSA_KEYS,
    ECDSA_NOTES,
    GO_KEY,
    GO_NOTE,
    LOG,
    ORIGIN,
    TIME,
    WITNESS,
    WITNESS_KEY,
    proof,
    signed_checkpoint,
)


def refused(note: SignedNote, *keys: VerifierKey) -> bool:
    with pytest.raises(UsageError) as caught:
        note.verified_by(keys)
    return caught.value.code == Code.LOG_MISMATCH


def test_published_ed25519_note_verifies() -> None:
    note, key = SignedNote.parse(GO_NOTE), VerifierKey.parse(GO_KEY)
    assert note.to_bytes() == GO_NOTE
    assert list(note.verified_by([key])) == [key]
    assert refused(SignedNote(note.text.replace(b"don't", b"do"), note.signatures), key)


def test_published_seed_makes_the_published_note() -> None:
    # golang.org/x/mod, sumdb/note/example_test.go: PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALV..., after the type 01
    seed = bytes.fromhex("810a1402d5146c8d84f2443330f5 4080ebf98ee17d9c74f6252fc5d5c7283173".replace(" ", ""))
    signer = Ed25519Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed))
    assert str(signer.key) == GO_KEY
    assert sign_note(SignedNote.parse(GO_NOTE).text, signer).to_bytes() == GO_NOTE


@pytest.mark.parametrize("log", ECDSA_KEYS)
def test_published_p256_checkpoints_verify(log: str) -> None:
    key = VerifierKey.parse(ECDSA_KEYS[log])
    signed = SignedCheckpoint.parse(ECDSA_NOTES[log])
    assert str(key) == ECDSA_KEYS[log]
    assert key.type is SignatureType.ECDSA
    assert signed.verify(key) == {}
    assert refused(SignedNote(signed.note.text + b"more\n", signed.note.signatures), key)


@pytest.mark.parametrize("text", [GO_KEY, WITNESS_KEY, *ECDSA_KEYS.values()])
def test_published_keys_read_and_write_the_same(text: str) -> None:
    assert str(VerifierKey.parse(text)) == text


def test_cosignature_is_verified_with_its_time() -> None:
    signed = signed_checkpoint()
    cosignatures = SignedCheckpoint.parse(signed.to_bytes()).verify(LOG.key, [WITNESS.key])
    assert [timestamp_of(one.signature) for one in cosignatures.values()] == [TIME]
    signature = cosignatures[WITNESS.key]
    later = (TIME + 1).to_bytes(8, "big") + signature.signature[8:]
    assert not WITNESS.key.verifies(signed.note.text, later)
    assert not WITNESS.key.verifies(signed.note.text, signature.signature[:8])
    # The extension lines are cosigned, and a witness' key does not sign as a log.
    assert not WITNESS.key.verifies(signed.note.text.replace(b"an ext", b"no ext"), signature.signature)
    assert not VerifierKey("w", SignatureType.ED25519, WITNESS.key.public_key).verifies(
        signed.note.text, signature.signature[8:]
    )


def test_signatures_of_unknown_keys_are_ignored() -> None:
    signed = signed_checkpoint()
    assert signed.verify(LOG.key) == {}
    renamed = VerifierKey("example.com/other", LOG.key.type, LOG.key.public_key)
    with pytest.raises(UsageError, match="no signature of") as caught:
        signed.verify(renamed)
    assert caught.value.code == Code.LOG_MISMATCH
    assert list(SignedNote.parse(GO_NOTE).verified_by([LOG.key])) == []


def test_one_more_signature_replaces_that_of_the_same_key() -> None:
    later = Cosigner(WITNESS.key.name, Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))), TIME + 60)
    signed = signed_checkpoint().cosigned_by(later)
    assert [one.name for one in signed.note.signatures] == [ORIGIN, WITNESS.key.name]
    assert timestamp_of(signed.verify(LOG.key, [later.key])[later.key].signature) == TIME + 60


def test_proof_verifies_its_entry_only() -> None:
    one = proof()
    one.verify_leaf(leaf_hash(b"3"))
    with pytest.raises(UsageError) as caught:
        one.verify_leaf(leaf_hash(b"2"))
    assert caught.value.code == Code.LOG_MISMATCH


def test_key_of_another_curve_or_length_is_refused() -> None:
    other_curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    with pytest.raises(UsageError, match="P-256"):
        p256_verifier_key(ORIGIN, other_curve)
    with pytest.raises(UsageError, match="32 bytes, not 31"):
        VerifierKey(ORIGIN, SignatureType.ED25519, bytes(31))
    with pytest.raises(UsageError, match="damaged"):
        VerifierKey(ORIGIN, SignatureType.ECDSA, bytes(91))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\N{NO-BREAK SPACE}b"])
def test_name_that_no_note_can_hold_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        VerifierKey(name, SignatureType.ED25519, LOG.key.public_key)
    assert caught.value.code == Code.LOG_INVALID


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"origin\n5\n",
        b"origin\n05\n" + b"A" * 43 + b"=\n",
        b"origin\n-1\n" + b"A" * 43 + b"=\n",
        b"origin\n9223372036854775808\n" + b"A" * 43 + b"=\n",
        b"origin\n5\n" + b"A" * 44 + b"\n",
        b"origin\n5\n" + b"A" * 42 + b"B=\n",
        b"origin\n5\n" + b"A" * 43 + b"=\n\nmore\n",
        b"\n5\n" + b"A" * 43 + b"=\n",
        b"origin\n5\n" + b"A" * 43 + b"=",
        b"\xff\n5\n" + b"A" * 43 + b"=\n",
    ],
)
def test_text_that_is_not_a_checkpoint_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        Checkpoint.from_text(text)
    assert caught.value.code == Code.LOG_INVALID
