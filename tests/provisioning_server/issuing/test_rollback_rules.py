"""What a counter and a checkpoint say about a ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atcaprov.transparency.ledger_checkpoint import LedgerCheckpoint, LogOrigin
from provisioning_server.issuing.rollback_rules import (
    NOTHING_YET,
    compare_counter,
    first_seen,
    settled_losses,
    why_behind,
)
from provisioning_server.ledger.changes import CounterSeen, LossesSettled
from provisioning_server.ledger.store import LogIdentity, SignerTally, TreeHead
from provisioning_server.signers.signer import SignatureCounter
from tests.support.in_memory_signer import NOW

SERIAL = bytes(9)
TALLY = SignerTally(issued=10, crls=1, lost=2, accepted=4, chip_serial=bytes(9), time=NOW)
"""17 signatures."""
LOG, HEAD = LogIdentity(bytes(16), 2), TreeHead(100, bytes(32))


@pytest.mark.parametrize(
    ("value", "first", "tally", "open_intents", "verdict"),
    [
        (28, 28, None, 0, "fits"),
        (0, 0, None, 0, "fits"),
        (29, 28, None, 0, "ledger"),
        (29, 28, None, 1, "fits"),
        (30, 28, None, 1, "fits"),
        (31, 28, None, 1, "ledger"),
        (17, 0, TALLY, 0, "fits"),
        (49, 32, TALLY, 0, "fits"),
        (18, 0, TALLY, 0, "ledger"),
        (18, 0, TALLY, 1, "fits"),
        (19, 0, TALLY, 1, "fits"),
        (20, 0, TALLY, 1, "ledger"),
        (16, 0, TALLY, 0, "counter"),
        (16, 0, TALLY, 1, "counter"),
        (18, 0, replace(TALLY, unsure=1), 0, "fits"),
        (20, 0, replace(TALLY, unsure=1), 0, "ledger"),
        (21, 0, replace(TALLY, unsure=1), 1, "fits"),
        (22, 0, replace(TALLY, unsure=1), 1, "ledger"),
        (45, None, replace(TALLY, first=28), 0, "fits"),
        (46, None, replace(TALLY, first=28), 0, "ledger"),
        (44, None, replace(TALLY, first=28), 0, "counter"),
        (17, 0, replace(TALLY, first=28), 0, "fits"),
    ],
)
def test_counter_beside_the_ledger(
    value: int, first: int | None, tally: SignerTally | None, open_intents: int, verdict: str
) -> None:
    compared = compare_counter(SignatureCounter(value, first), tally, open_intents)
    assert compared.ledger_is_behind == (verdict == "ledger")
    assert compared.counter_is_behind == (verdict == "counter")


@pytest.mark.parametrize("value", range(40))
@pytest.mark.parametrize("tally", [None, TALLY, replace(TALLY, first=5)])
def test_every_signature_more_than_the_ledger_has_is_noticed(value: int, tally: SignerTally | None) -> None:
    """The other way to say it: only a counter that stands where the ledger says fits."""
    recorded = (tally or NOTHING_YET).signatures
    compared = compare_counter(SignatureCounter(value, 0), tally, 0)
    assert (value == recorded) == (not compared.ledger_is_behind and not compared.counter_is_behind)
    assert compared.extra == value - recorded


def test_module_that_does_not_tell_where_it_began_is_recorded_once() -> None:
    counter = SignatureCounter(45)
    assert first_seen(SERIAL, counter, TALLY, NOW) == CounterSeen(NOW, SERIAL, 45, 28)
    assert first_seen(SERIAL, counter, None, NOW) == CounterSeen(NOW, SERIAL, 45, 45)
    assert first_seen(SERIAL, counter, replace(TALLY, first=28), NOW) is None
    assert first_seen(SERIAL, SignatureCounter(45, 28), TALLY, NOW) is None


def test_counter_of_an_older_module_below_its_records_is_behind() -> None:
    seen = first_seen(SERIAL, SignatureCounter(16), TALLY, NOW)
    assert seen is not None
    assert compare_counter(SignatureCounter(16), TALLY, 0, first=seen.first).counter_is_behind


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_counter_settles_the_losses(extra: int) -> None:
    tally = replace(TALLY, unsure=1)
    compared = compare_counter(SignatureCounter(17 + extra, 0), tally, 0)
    assert settled_losses(SERIAL, compared, tally, 0, NOW) == LossesSettled(NOW, SERIAL, 1, extra)


def test_nothing_is_settled_while_an_intent_is_open_or_without_a_loss() -> None:
    compared = compare_counter(SignatureCounter(18, 0), replace(TALLY, unsure=1), 1)
    assert settled_losses(SERIAL, compared, replace(TALLY, unsure=1), 1, NOW) is None
    assert settled_losses(SERIAL, compared, TALLY, 0, NOW) is None
    assert settled_losses(SERIAL, compared, None, 0, NOW) is None


@pytest.mark.parametrize(
    ("ledger_id", "epoch", "size", "root", "words"),
    [
        (bytes(16), 2, 100, b"root 100", ""),
        (bytes(16), 2, 7, b"root 7", ""),
        (bytes(16), 2, 0, b"root 0", ""),
        (bytes(16), 1, 500, b"given up", ""),
        (bytes(16), 2, 101, b"root 101", "has 100 entries, and had 101"),
        (bytes(16), 2, 7, b"another", "first 7 entries are not those"),
        (bytes(16), 2, 100, b"another", "first 100 entries are not those"),
        (bytes(16), 3, 7, b"root 7", "in epoch 2, and was in epoch 3"),
        (b"\1" * 16, 2, 7, b"root 7", "another ledger"),
        (b"\1" * 16, 1, 7, b"root 7", "another ledger"),
    ],
)
def test_checkpoint_beside_the_ledger(ledger_id: bytes, epoch: int, size: int, root: bytes, words: str) -> None:
    checkpoint = LedgerCheckpoint(LogOrigin(ledger_id, epoch), size, root, b"")
    why = why_behind(checkpoint, LOG, HEAD, lambda size: b"root %d" % size)
    assert words in why
    assert bool(words) == bool(why)
