"""What every ledger does, wherever it is kept: each test runs over each kind of store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest

from atcaprov.transparency.merkle import EMPTY_ROOT
from atcaprov.transparency.tiles import tree_root
from provisioning_server.ledger.changes import (
    CertificatesRecovered,
    Changes,
    ClockAccepted,
    CounterSeen,
    GivenChallenge,
    LossesSettled,
    RollbackAccepted,
)
from provisioning_server.ledger.entry_bodies import encode
from provisioning_server.ledger.store import Ledger, LogEntry, SignerTally, TreeHead
from tests.provisioning_server.ledger.conftest import OpenStore
from tests.provisioning_server.ledger.events import (
    DOCUMENTS,
    NOW,
    ONE_OF_EACH,
    ORIGIN,
    SERVER,
    SIGNER,
    challenge_of,
    intent,
    issued,
    lost,
    public_key,
    reported,
    step,
)
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import chip_serial


def merkle_root(entries: Sequence[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\0" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return sha256(b"\1" + merkle_root(entries[:split]) + merkle_root(entries[split:])).digest()


def test_new_ledger_is_empty(ledger: Ledger) -> None:
    assert ledger.head() == TreeHead(0, EMPTY_ROOT)
    assert ledger.newest is None
    assert not ledger.failed
    assert ledger.has_room()
    assert (len(ledger.identity.ledger_id), ledger.identity.epoch) == (16, 1)
    assert not ledger.entries(0, 10)
    assert not ledger.open_intents()
    assert not ledger.known_documents()
    assert ledger.tally(SIGNER.serial) is None


def test_everything_is_known_after_a_restart(open_store: OpenStore) -> None:
    first = open_store()
    written = step(first, *ONE_OF_EACH, intents=[intent(7)])
    identity, newest = first.identity, first.newest
    first.close()
    again = open_store()
    assert again.head() == written.head
    assert (again.identity, again.newest) == (identity, newest)
    assert [entry.body for entry in again.entries(0, 100)] == [encode(event).encode() for event in ONE_OF_EACH]
    assert list(again.open_intents()) == [intent(7)]
    assert list(again.known_documents()) == [DOCUMENTS]
    assert again.documents(DOCUMENTS.document_id) == DOCUMENTS
    assert [each.record for each in again.known([chip_serial(1)], []).of_chip(chip_serial(1))] == [
        issued(1, origin=ORIGIN).record
    ]
    again.close()


@pytest.mark.parametrize("sizes", [[1, 1, 1], [255, 1, 1], [300, 5], [700]])
def test_head_and_tiles_are_those_of_the_entries(open_store: OpenStore, sizes: list[int]) -> None:
    entries: list[bytes] = []
    for size in sizes:
        ledger = open_store()
        first = len(entries)
        written = step(ledger, *(issued(first + number) for number in range(size)))
        entries += [entry.body for entry in ledger.entries(first, size)]
        assert written.first_index == first
        assert written.head == ledger.head() == TreeHead(len(entries), merkle_root(entries))
        assert tree_root(len(entries), ledger.tile) == written.head.root
        ledger.close()


def test_entries_are_read_in_parts(ledger: Ledger) -> None:
    step(ledger, *ONE_OF_EACH)
    everything = [LogEntry(index, "", encode(event).encode()) for index, event in enumerate(ONE_OF_EACH)]
    assert [replace(entry, kind="") for entry in ledger.entries(2, 3)] == everything[2:5]
    assert [entry.kind for entry in ledger.entries(0, 100)][:4] == ["issued", "lost", "lost", "reported"]
    assert list(ledger.entries(len(ONE_OF_EACH), 5)) == []


def test_chips_and_keys_of_a_batch_are_known(ledger: Ledger) -> None:
    step(ledger, issued(1), issued(2), issued(1, key=9))
    chips = [chip_serial(number) for number in range(300)]
    known = ledger.known(chips, [public_key(number) for number in range(1, 300)])
    assert [each.index for each in known.of_chip(chip_serial(1))] == [0, 2]
    assert [each.record for each in known.of_chip(chip_serial(2))] == [issued(2).record]
    assert list(known.of_chip(chip_serial(3))) == []
    assert known.chip_of(public_key(9)) == chip_serial(1)
    assert known.chip_of(public_key(3)) is None
    nothing = ledger.known([], [])
    assert (list(nothing.of_chip(chip_serial(1))), nothing.chip_of(public_key(1))) == ([], None)


def test_key_belongs_to_the_first_chip(ledger: Ledger) -> None:
    step(ledger, issued(5, key=1))
    step(ledger, issued(4, key=1))
    assert ledger.known([], [public_key(1)]).chip_of(public_key(1)) == chip_serial(5)


def test_intent_stays_until_its_end(ledger: Ledger) -> None:
    assert list(step(ledger, intents=[intent(1), intent(2), intent(3)]).refused) == []
    assert list(ledger.open_intents()) == [intent(1), intent(2), intent(3)]
    step(ledger, issued(2), lost(intent(1)))
    assert list(ledger.open_intents()) == [intent(3)]


def test_intents_are_listed_by_server(ledger: Ledger) -> None:
    other = intent(2, server="ffeeddccbbaa9988")
    step(ledger, intents=[intent(1), other])
    assert list(ledger.open_intents(SERVER)) == [intent(1)]
    assert list(ledger.open_intents(other.server)) == [other]
    assert list(ledger.open_intents("0" * 16)) == []


def test_chip_and_key_have_one_open_intent(ledger: Ledger) -> None:
    step(ledger, intents=[intent(1, key=1)])
    wanted = [intent(1, key=2), intent(2, key=1), intent(1, key=1), intent(3), intent(3), intent(4)]
    assert list(step(ledger, intents=wanted).refused) == [*wanted[:3], wanted[4]]
    assert list(ledger.open_intents()) == [intent(1, key=1), intent(3), intent(4)]


def test_intent_is_refused_when_a_certificate_came_in_between(ledger: Ledger) -> None:
    step(ledger, issued(1))
    assert list(step(ledger, intents=[intent(1)]).refused) == [intent(1)]
    assert list(step(ledger, intents=[intent(1, last=0)]).refused) == []
    assert list(step(ledger, intents=[intent(2, last=0)]).refused) == [intent(2, last=0)]


def test_intent_is_refused_for_a_key_of_another_chip(ledger: Ledger) -> None:
    step(ledger, issued(1))
    assert list(step(ledger, intents=[intent(2, key=1)]).refused) == [intent(2, key=1)]


def test_result_and_next_intent_of_a_chip_fit_into_one_step(ledger: Ledger) -> None:
    step(ledger, intents=[intent(1)])
    assert list(step(ledger, issued(1), intents=[intent(1, key=2, last=0)]).refused) == []
    assert list(ledger.open_intents()) == [intent(1, key=2, last=0)]


def test_refused_intent_does_not_keep_the_rest_of_the_step_out(ledger: Ledger) -> None:
    step(ledger, intents=[intent(1)])
    written = step(ledger, issued(2), lost(intent(4)), intents=[intent(1, key=5)])
    assert written.head.size == 2
    assert list(written.refused) == [intent(1, key=5)]


def test_certificate_is_found_by_its_challenges(ledger: Ledger) -> None:
    step(ledger, issued(1), issued(1, key=9, challenge=50), issued(2))
    again = GivenChallenge(challenge_of(77), 0, NOW)
    ledger.commit(Changes(challenges=[again]))
    found = {number: ledger.challenged(chip_serial(1), challenge_of(number)) for number in (1, 2, 50, 77, 78)}
    assert {number: each and each.index for number, each in found.items()} == {1: 0, 2: None, 50: 1, 77: 0, 78: None}
    assert ledger.challenged(chip_serial(2), challenge_of(77)) is None


def test_certificate_of_an_older_version_is_not_found_by_an_empty_challenge(ledger: Ledger) -> None:
    step(ledger, replace(issued(1), challenge=b""))
    assert ledger.challenged(chip_serial(1), b"") is None


def test_first_proof_counts_and_the_last_fate(ledger: Ledger) -> None:
    step(ledger, issued(1))
    later = NOW + timedelta(minutes=5)
    unproven = reported(0, 1, signature=b"", fate="set-aside")
    again = reported(0, 1, received=later + timedelta(hours=1), fate="scrap")
    assert _proven_and_fate(ledger) == (None, "")
    step(ledger, unproven)
    assert _proven_and_fate(ledger) == (None, "set-aside")
    step(ledger, reported(0, 1, received=later))
    assert _proven_and_fate(ledger) == (later, "good")
    step(ledger, again)
    assert _proven_and_fate(ledger) == (later, "scrap")


def test_report_that_waited_on_a_station_does_not_change_the_fate_of_a_later_run(ledger: Ledger) -> None:
    step(ledger, issued(1), issued(2))
    early = replace(reported(0, 1, signature=b"", fate="retry"), finished=NOW - timedelta(hours=2))
    step(ledger, replace(reported(0, 1), finished=NOW - timedelta(hours=1)))
    step(ledger, early, reported(1, 2))
    assert _proven_and_fate(ledger) == (NOW, "good")
    step(ledger, replace(early, finished=NOW + timedelta(days=900), fate="scrap"))  # a clock that is ahead
    assert _proven_and_fate(ledger) == (NOW, "scrap")
    step(ledger, reported(0, 1, received=NOW + timedelta(minutes=1)))
    assert _proven_and_fate(ledger) == (NOW, "good")


def _proven_and_fate(ledger: Ledger) -> tuple[datetime | None, str]:
    (stored,) = ledger.known([chip_serial(1)], []).of_chip(chip_serial(1))
    return stored.proven, stored.fate


def test_first_report_of_a_challenge_is_found_again(ledger: Ledger) -> None:
    step(ledger, issued(1), issued(2))
    reports = [reported(0, 1, fate="good"), reported(0, 1, fate="scrap"), reported(1, 2)]
    step(ledger, *reports)
    assert ledger.reported(chip_serial(1), challenge_of(1)) == reports[0]
    assert ledger.reported(chip_serial(2), challenge_of(2)) == reports[2]
    assert ledger.reported(chip_serial(1), challenge_of(2)) is None
    assert ledger.reported(chip_serial(3), challenge_of(3)) is None


def test_report_that_two_servers_take_at_the_same_moment_is_recorded_once(open_store: OpenStore) -> None:
    first, second = open_store(), open_store()
    step(first, issued(1), issued(2))
    assert first.reported(chip_serial(1), challenge_of(1)) is None
    assert second.reported(chip_serial(1), challenge_of(1)) is None
    again = replace(reported(0, 1, received=NOW + timedelta(minutes=9)), client="192.0.2.8:40313")
    assert not step(first, reported(0, 1)).repeated
    written = step(second, issued(3), again, reported(1, 2))
    assert (set(written.repeated), written.first_index, written.head.size) == ({1}, 3, 5)
    assert [entry.kind for entry in first.entries(0, 10)] == ["issued", "issued", "reported", "issued", "reported"]
    assert first.newest == NOW
    assert set(step(first, again).repeated) == {0}, "a step of nothing else"
    assert first.head() == second.head() == written.head
    assert step(second, replace(again, fate="scrap")).head.size == 6, "what it says of the board is another thing"
    first.close()
    second.close()


def test_unproven_certificates_are_listed_in_parts(ledger: Ledger) -> None:
    step(ledger, *(issued(number, after=number) for number in range(6)), replace(issued(6), challenge=b""))
    step(ledger, reported(1, 1), reported(2, 2, signature=b""))
    before = NOW + timedelta(seconds=5)
    assert [each.index for each in ledger.unproven(before, 0, 100)] == [0, 2, 3, 4]
    assert [each.index for each in ledger.unproven(before, 1, 2)] == [2, 3]
    assert [each.index for each in ledger.unproven(before, 4, 2)] == [4]


def test_old_certificate_is_unproven_once_it_was_sent_with_a_challenge(ledger: Ledger) -> None:
    step(ledger, replace(issued(1), challenge=b""))
    later = NOW + timedelta(days=1)
    assert not ledger.unproven(later, 0, 100)
    ledger.commit(Changes(challenges=[GivenChallenge(challenge_of(1), 0, NOW)]))
    assert [each.index for each in ledger.unproven(later, 0, 100)] == [0]
    step(ledger, reported(0, 1))
    assert not ledger.unproven(later, 0, 100)


def test_certificate_and_its_report_fit_into_one_step(ledger: Ledger) -> None:
    step(ledger, issued(1), reported(0, 1))
    assert ledger.known([chip_serial(1)], []).of_chip(chip_serial(1))[0].proven == NOW


def test_signer_is_tallied(ledger: Ledger) -> None:
    step(ledger, lost(intent(9)))
    assert ledger.tally(SIGNER.serial) == SignerTally(0, 0, 1, 0, b"", None)
    step(ledger, issued(1), issued(2, after=60), lost(intent(3), signed=False), lost(intent(4), signed=None))
    later = NOW + timedelta(seconds=60)
    assert ledger.tally(SIGNER.serial) == SignerTally(2, 0, 1, 0, chip_serial(2), later, unsure=1)
    step(ledger, RollbackAccepted(NOW, "restored", SIGNER.serial, 12), RollbackAccepted(NOW, "again", b"", 5))
    assert ledger.tally(SIGNER.serial) == SignerTally(2, 0, 1, 12, chip_serial(2), later, unsure=1)
    step(ledger, LossesSettled(NOW, SIGNER.serial, 1, 1))
    assert ledger.tally(SIGNER.serial) == SignerTally(2, 0, 2, 12, chip_serial(2), later)


@pytest.mark.parametrize(("missing", "left"), [(12, 10), (2, 0), (1, 0), (0, 0)])
def test_what_is_found_again_is_not_missing_any_more(ledger: Ledger, missing: int, left: int) -> None:
    step(ledger, issued(1), RollbackAccepted(NOW, "restored", SIGNER.serial, missing))
    step(ledger, issued(2), issued(3), CertificatesRecovered(NOW, "from the stations", 2))
    found = ledger.tally(SIGNER.serial)
    assert found is not None
    assert (found.issued, found.accepted) == (3, left)


def test_first_value_of_a_counter_is_kept(ledger: Ledger) -> None:
    step(ledger, CounterSeen(NOW, SIGNER.serial, 28, 28))
    assert ledger.tally(SIGNER.serial) == SignerTally(0, 0, 0, 0, b"", None, first=28)
    step(ledger, issued(1), CounterSeen(NOW, SIGNER.serial, 40, 39))
    found = ledger.tally(SIGNER.serial)
    assert found == SignerTally(1, 0, 0, 0, chip_serial(1), NOW, first=28)
    assert found is not None
    assert found.signatures == 1


def test_epoch_grows_with_each_accepted_rollback(open_store: OpenStore) -> None:
    ledger = open_store()
    step(ledger, RollbackAccepted(NOW, "restored"), RollbackAccepted(NOW, "once more"))
    assert ledger.identity.epoch == 3
    ledger.close()
    again = open_store()
    assert again.identity.epoch == 3
    again.close()


def test_newest_time_is_that_of_the_records_until_a_clock_is_accepted(ledger: Ledger) -> None:
    step(ledger, issued(1, after=100))
    assert ledger.newest == NOW + timedelta(seconds=100)
    step(ledger, issued(2, after=50), lost(intent(3)))
    assert ledger.newest == NOW + timedelta(seconds=100)
    step(ledger, ClockAccepted(NOW, NOW + timedelta(seconds=100), "the battery was empty"))
    assert ledger.newest == NOW
    step(ledger, issued(4, after=1), reported(0, 1, received=NOW + timedelta(seconds=9)))
    assert ledger.newest == NOW + timedelta(seconds=9)


def test_documents_are_kept_once_in_their_order(ledger: Ledger) -> None:
    others = [MemorySigner().documents for _ in range(2)]
    ledger.commit(Changes(documents=[others[0], DOCUMENTS]))
    ledger.commit(Changes(documents=[DOCUMENTS, others[1], others[1]]))
    assert list(ledger.known_documents()) == [others[0], DOCUMENTS, others[1]]


def test_empty_step_changes_nothing(ledger: Ledger) -> None:
    step(ledger, issued(1))
    written = ledger.commit(Changes())
    assert (written.head, written.first_index, list(written.refused)) == (ledger.head(), 1, [])
