"""Checkpoints of ledgers: their origin, who signed them, and which of two is newer."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.transparency.checkpoint import Checkpoint
from atcaprov.transparency.ledger_checkpoint import LedgerCheckpoint, LogOrigin, Relation
from atcaprov.transparency.verifier_keys import Ed25519Signer, VerifierKey

LEDGER, OTHER = bytes(range(16)), bytes(16)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ROOT, OTHER_ROOT = b"\1" * 32, b"\2" * 32


def note(origin: str, size: int = 7, root: bytes = ROOT, private: Ed25519PrivateKey = PRIVATE) -> bytes:
    return Checkpoint(origin, size, root).signed_by(Ed25519Signer(origin, private)).to_bytes()


def key(name: str = "as the operator typed it") -> VerifierKey:
    return Ed25519Signer(name.replace(" ", "-"), PRIVATE).key


def checkpoint(ledger_id: bytes = LEDGER, epoch: int = 1, size: int = 7, root: bytes = ROOT) -> LedgerCheckpoint:
    return LedgerCheckpoint(LogOrigin(ledger_id, epoch), size, root, b"")


@given(st.binary(min_size=16, max_size=16), st.integers(1, 10**18 - 1))
def test_origin_is_read_as_it_is_written(ledger_id: bytes, epoch: int) -> None:
    origin = LogOrigin(ledger_id, epoch)
    assert LogOrigin.parse(str(origin)) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/log",
        f"atcaprov.ledger/{LEDGER.hex()}",
        f"atcaprov.ledger/{LEDGER.hex()}/0",
        f"atcaprov.ledger/{LEDGER.hex()}/01",
        f"atcaprov.ledger/{LEDGER.hex()}/1\n",
        f"atcaprov.ledger/{LEDGER.hex()}/\N{ARABIC-INDIC DIGIT ONE}",
        f"atcaprov.ledger/{OTHER.hex()}0/1",
        f"atcaprov.ledger/{'AB' * 16}/1",
        f"atcaprov.ledger/{LEDGER.hex()}/{'9' * 19}",
    ],
)
def test_other_origins_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        LogOrigin.parse(text)
    assert refused.value.code == Code.LOG_INVALID


@pytest.mark.parametrize("epoch", [1, 2, 40])
def test_one_key_signs_every_epoch(epoch: int) -> None:
    origin = LogOrigin(LEDGER, epoch)
    signed = note(str(origin))
    assert LedgerCheckpoint.verified(signed, key()) == LedgerCheckpoint(origin, 7, ROOT, signed)


def test_checkpoint_of_another_key_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(UsageError) as refused:
        LedgerCheckpoint.verified(note(str(LogOrigin(LEDGER, 1)), private=other), key())
    assert refused.value.code == Code.LOG_MISMATCH


def test_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        LedgerCheckpoint.verified(note("example.com/log"), key())
    assert refused.value.code == Code.LOG_INVALID


@given(st.integers(0), st.integers(0, 7))
def test_every_flipped_bit_is_refused(place: int, bit: int) -> None:
    signed = bytearray(note(str(LogOrigin(LEDGER, 1))))
    signed[place % len(signed)] ^= 1 << bit
    with pytest.raises(UsageError) as refused:
        LedgerCheckpoint.verified(bytes(signed), key())
    assert refused.value.code in (Code.LOG_INVALID, Code.LOG_MISMATCH)


@given(st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError):
        LedgerCheckpoint.verified(data, key())


def test_every_cut_is_refused() -> None:
    signed = note(str(LogOrigin(LEDGER, 1)))
    for length in range(len(signed)):
        with pytest.raises(UsageError):
            LedgerCheckpoint.verified(signed[:length], key())


@pytest.mark.parametrize(
    ("found", "known", "relation"),
    [
        (checkpoint(), checkpoint(), Relation.SAME),
        (checkpoint(size=8), checkpoint(), Relation.NEWER),
        (checkpoint(size=6), checkpoint(), Relation.OLDER),
        (checkpoint(root=OTHER_ROOT), checkpoint(), Relation.FORKED),
        (checkpoint(size=8, root=OTHER_ROOT), checkpoint(), Relation.NEWER),
        (checkpoint(epoch=2, size=3), checkpoint(), Relation.NEWER),
        (checkpoint(epoch=1, size=9), checkpoint(epoch=2), Relation.OLDER),
        (checkpoint(OTHER), checkpoint(), Relation.OTHER_LEDGER),
    ],
)
def test_relation_of_two_checkpoints(found: LedgerCheckpoint, known: LedgerCheckpoint, relation: Relation) -> None:
    assert found.relation_to(known) is relation
