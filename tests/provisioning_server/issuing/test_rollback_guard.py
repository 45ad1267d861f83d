"""A ledger that is behind: noticed by counters and checkpoints, over restarts, until it is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code, UsageError
from atcaprov.transparency.ledger_checkpoint import LogOrigin
from provisioning_server.ledger.changes import CounterSeen, LossesSettled, Lost, RollbackAccepted
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.rollback_notes import RollbackNotes, SignerAhead
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW, SIGNER, intent, issued, lost, step
from tests.support.guarded_ledger import FOREIGN, CountingSigner, GuardedLedger, note
from tests.support.in_memory_signer import MemorySigner


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GuardedLedger]:
    data = tmp_path / "data"
    data.mkdir()
    made = GuardedLedger(data)
    yield made
    made.ledger.close()


def events(ledger: SqlLedger) -> list[object]:
    return [decode(entry.body.decode()) for entry in ledger.entries(0, 1000)]


def test_signer_with_as_many_signatures_is_admitted(server: GuardedLedger) -> None:
    step(server.ledger, issued(1), lost(intent(2)), issued(3))
    guard = server.start()
    assert guard.admit(CountingSigner(31, first=28)) is None
    assert len(events(server.ledger)) == 3, "nothing is recorded"


def test_signers_without_counter_are_admitted(server: GuardedLedger) -> None:
    step(server.ledger, issued(1))
    assert server.start().admit(MemorySigner()) is None


@pytest.mark.parametrize("missing", [1, 2, 1000])
def test_signer_that_signed_more_is_refused_until_it_is_accepted(server: GuardedLedger, missing: int) -> None:
    step(server.ledger, issued(1))
    guard, signer = server.start(), CountingSigner(1 + missing)
    refused = guard.admit(signer)
    assert refused is not None
    assert refused.code == Code.LEDGER_BEHIND
    assert guard.refusal(signer) == refused
    assert f"it has 1 of its signatures, and the signer has made {1 + missing}" in server.log.lines[-1]
    again = server.again()
    assert again.start().admit(signer) == refused
    assert again.accepts(signer.serial) == [RollbackAccepted(NOW, "restored", signer.serial, missing)]
    assert again.ledger.identity.epoch == 2
    after = again.again()
    assert after.start().admit(signer) is None
    assert not after.file.path.exists()
    server.ledger = after.ledger


def test_refused_signer_is_admitted_when_the_newer_ledger_is_back(server: GuardedLedger, tmp_path: Path) -> None:
    step(server.ledger, issued(1))
    older = server.saved(tmp_path / "older")
    step(server.ledger, issued(2))
    newer = server.saved(tmp_path / "newer")
    behind = server.restored(older)
    signer = CountingSigner(2)
    assert behind.start().admit(signer) is not None
    assert behind.file.read() == RollbackNotes({signer.serial: SignerAhead(2, 1, NOW)})
    whole = behind.restored(newer)
    assert whole.start().admit(signer) is None
    assert not whole.file.path.exists()
    server.ledger = whole.ledger


def test_counter_below_the_ledger_is_refused_and_cannot_be_accepted(server: GuardedLedger) -> None:
    step(server.ledger, issued(1), issued(2))
    signer = CountingSigner(1)
    refused = server.start().admit(signer)
    assert refused is not None
    assert refused.code == Code.COUNTER_BEHIND
    for serial in (None, signer.serial):
        with pytest.raises(UsageError, match="has not found"):
            server.accepts(serial)


@pytest.mark.parametrize("signatures", [0, 1, 2])
def test_lost_intent_is_settled_by_the_counter(server: GuardedLedger, signatures: int) -> None:
    step(server.ledger, issued(1), lost(intent(2), signed=None))
    guard = server.start()
    assert guard.admit(CountingSigner(1 + signatures)) is None
    assert events(server.ledger)[-1] == LossesSettled(NOW, SIGNER.serial, 1, signatures)
    tally = server.ledger.tally(SIGNER.serial)
    assert tally is not None
    assert (tally.signatures, tally.unsure) == (1 + signatures, 0)
    assert guard.admit(CountingSigner(2 + signatures)) is not None, "a settled loss explains nothing more"


def test_intent_of_another_server_explains_a_signature_and_stays_open(server: GuardedLedger) -> None:
    step(server.ledger, issued(1), lost(intent(3), signed=None), intents=[intent(2, server="ffffffffffffffff")])
    assert server.start().admit(CountingSigner(3)) is None
    assert len(server.ledger.open_intents()) == 1
    assert len(events(server.ledger)) == 2


def test_loss_is_settled_once_no_intent_is_open_any_more(server: GuardedLedger) -> None:
    opened = intent(2)
    step(server.ledger, issued(1), intents=[opened])
    guard, signer = server.start(), CountingSigner(2)
    assert guard.admit(signer) is None
    assert len(events(server.ledger)) == 1
    step(server.ledger, lost(opened, signed=None))
    assert guard.admit(signer) is None
    assert events(server.ledger)[-1] == LossesSettled(NOW, SIGNER.serial, 1, 1)
    assert guard.admit(signer) is None
    assert len(events(server.ledger)) == 3


def test_older_module_is_recorded_when_it_is_first_seen(server: GuardedLedger) -> None:
    step(server.ledger, issued(1))
    assert server.start().admit(CountingSigner(29, first=None)) is None
    assert events(server.ledger)[-1] == CounterSeen(NOW, SIGNER.serial, 29, 28)
    assert server.log.lines[-1].startswith("warning: Signer ")
    assert "the ledger has 1 of its 29 signatures. The other 28 have no certificate" in server.log.lines[-1]
    again = server.again()
    assert again.start().admit(CountingSigner(30, first=None)) is not None
    server.ledger = again.ledger


def test_older_module_with_all_its_certificates_gets_no_warning(server: GuardedLedger) -> None:
    step(server.ledger, issued(1), issued(2))
    assert server.start().admit(CountingSigner(2, first=None)) is None
    (line,) = server.log.lines
    assert line.startswith("info: Signer ")
    assert line.endswith("the ledger has 2 of its 2 signatures.")


def test_older_module_with_fewer_signatures_than_the_ledger_is_refused(server: GuardedLedger) -> None:
    step(server.ledger, issued(1), issued(2))
    refused = server.start().admit(CountingSigner(1, first=None))
    assert refused is not None
    assert refused.code == Code.COUNTER_BEHIND
    assert len(events(server.ledger)) == 2


def test_module_is_compared_again_when_it_is_plugged_in_again(server: GuardedLedger) -> None:
    step(server.ledger, issued(1))
    guard, first = server.start(), CountingSigner(1)
    assert guard.admit(first) is None
    assert guard.admit(CountingSigner(5)) is not None
    assert guard.refusal(first) is None


def test_signature_is_compared_before_it_is_recorded(server: GuardedLedger) -> None:
    opened = intent(2)
    step(server.ledger, issued(1), intents=[opened])
    guard, signer = server.start(), CountingSigner(1)
    assert guard.admit(signer) is None
    before = signer.counter
    signer.sign(bytes(32))
    assert guard.signed(signer, opened, before) == []


def test_signature_that_was_lost_in_noise_is_recorded(server: GuardedLedger) -> None:
    opened = intent(2)
    step(server.ledger, issued(1), intents=[opened])
    guard, signer = server.start(), CountingSigner(1)
    before = signer.counter
    signer.sign(bytes(32))
    signer.sign(bytes(32))
    (event,) = guard.signed(signer, opened, before)
    assert isinstance(event, Lost)
    assert event.signed
    assert event.intent == opened


def test_signature_beyond_the_ledger_is_not_given_out(server: GuardedLedger) -> None:
    opened = intent(2)
    step(server.ledger, issued(1), intents=[opened])
    guard, signer = server.start(), CountingSigner(4)
    before = signer.counter
    signer.sign(bytes(32))
    with pytest.raises(AtcaProvError) as refused:
        guard.signed(signer, opened, before)
    assert refused.value.code == Code.LEDGER_BEHIND
    assert guard.refusal(signer) is not None


def test_signature_that_the_counter_does_not_show_is_not_given_out(server: GuardedLedger) -> None:
    opened = intent(2)
    step(server.ledger, issued(1), intents=[opened])
    guard, signer = server.start(), CountingSigner(1)
    with pytest.raises(AtcaProvError) as refused:
        guard.signed(signer, opened, signer.counter)
    assert refused.value.code == Code.COUNTER_BEHIND
    assert guard.refusal(signer) is not None


def test_older_database_under_a_newer_folder_is_noticed(server: GuardedLedger, tmp_path: Path) -> None:
    step(server.ledger, issued(1))
    older = server.saved(tmp_path / "older")
    step(server.ledger, issued(2))
    server.own.write(server.checkpoint())
    behind = server.restored(older)
    guard, signer = behind.start(), MemorySigner()
    assert guard.is_behind
    refused = guard.admit(signer)
    assert refused is not None
    assert refused.code == Code.LEDGER_BEHIND
    assert "it has 1 entries, and had 2" in behind.log.lines[-1]
    (accepted,) = behind.accepts()
    assert accepted.checkpoint == behind.own.read()
    after = behind.again()
    assert not after.start().is_behind
    assert after.guard.admit(signer) is None
    after.own.write(after.checkpoint())
    once_more = after.restored(older)
    assert once_more.start().is_behind, "the second epoch is not in the copy either"
    server.ledger = once_more.ledger


def test_ledger_that_was_made_anew_is_noticed(server: GuardedLedger, tmp_path: Path) -> None:
    other = GuardedLedger(tmp_path)
    server.own.write(other.checkpoint())
    other.ledger.close()
    assert server.start().is_behind
    assert "another ledger" in server.log.lines[-1]


def test_own_checkpoint_stays_good_over_restarts(server: GuardedLedger) -> None:
    step(server.ledger, issued(1))
    server.own.write(server.checkpoint())
    step(server.ledger, issued(2))
    again = server.again()
    assert not again.start().is_behind
    server.ledger = again.ledger


def test_own_checkpoint_of_another_key_stops_the_start(server: GuardedLedger) -> None:
    head = server.ledger.head()
    server.own.write(note(LogOrigin(server.ledger.identity.ledger_id, 1), head.size, head.root, FOREIGN))
    with pytest.raises(UsageError, match="Put back the log key"):
        server.start()


@pytest.mark.parametrize("damaged", [b"", b"\0" * 300, b"atcaprov.ledger/\n"])
def test_damaged_own_checkpoint_stops_the_start(server: GuardedLedger, damaged: bytes) -> None:
    server.own.path.write_bytes(damaged + b"x")
    with pytest.raises(UsageError, match="is not a checkpoint of this server's log"):
        server.start()


def test_newer_checkpoint_of_a_station_stops_the_server_also_after_a_restart(
    server: GuardedLedger, tmp_path: Path
) -> None:
    step(server.ledger, issued(1))
    older = server.saved(tmp_path / "older")
    step(server.ledger, issued(2))
    newer, kept = server.saved(tmp_path / "newer"), server.checkpoint()
    behind = server.restored(older)
    guard = behind.start()
    assert guard.admit(MemorySigner()) is None
    guard.shown(kept, "192.0.2.7:40312")
    assert guard.is_behind
    assert "192.0.2.7:40312" in behind.log.lines[-1]
    again = behind.again()
    assert again.start().is_behind
    whole = again.restored(newer)
    assert not whole.start().is_behind, "the ledger has it again"
    assert not whole.file.path.exists()
    server.ledger = whole.ledger


def test_ledger_that_has_grown_past_the_lost_entries_is_noticed_by_the_server(
    server: GuardedLedger, tmp_path: Path
) -> None:
    step(server.ledger, issued(1))
    older = server.saved(tmp_path / "older")
    step(server.ledger, issued(2))
    kept = server.checkpoint()
    forked = server.restored(older)
    guard = forked.start()
    step(forked.ledger, issued(3), issued(4), issued(5))
    guard.shown(kept)
    assert guard.is_behind
    assert "first 2 entries are not those that it had" in forked.log.lines[-1]
    server.ledger = forked.ledger


def test_older_checkpoints_and_those_of_earlier_epochs_stop_nothing(server: GuardedLedger) -> None:
    step(server.ledger, issued(1))
    kept = server.checkpoint()
    given_up = note(LogOrigin(server.ledger.identity.ledger_id, 1), 500, bytes(32))
    step(server.ledger, RollbackAccepted(NOW, "restored"))
    guard = server.start()
    for each in (kept, given_up, server.checkpoint()) * 2:
        guard.shown(each)
    assert not guard.is_behind


def test_what_this_log_has_not_signed_never_stops_it(server: GuardedLedger) -> None:
    step(server.ledger, issued(1))
    guard, origin = server.start(), LogOrigin(server.ledger.identity.ledger_id, 1)
    forged = note(origin, 500, bytes(32), FOREIGN)
    other_ledger = note(LogOrigin(bytes(16), 1), 500, bytes(32))
    good = server.checkpoint()
    cut = [good[:length] for length in range(0, len(good), 7)]
    for each in (b"garbage", b"\xff" * 1024, forged, other_ledger, *cut):
        guard.shown(each)
    assert not guard.is_behind
    assert server.log.lines == []


def test_counter_and_checkpoint_are_accepted_together(server: GuardedLedger, tmp_path: Path) -> None:
    step(server.ledger, issued(1))
    older = server.saved(tmp_path / "older")
    step(server.ledger, issued(2))
    kept = server.checkpoint()
    behind = server.restored(older)
    guard, signer = behind.start(), CountingSigner(2)
    assert guard.admit(signer) is not None
    guard.shown(kept)
    first, second = behind.accepts(reason="  restored\tfrom\nthe backup ")
    assert first == RollbackAccepted(NOW, "restored from the backup", checkpoint=kept)
    assert second == RollbackAccepted(NOW, "restored from the backup", signer.serial, 1)
    after = behind.again()
    assert after.start().admit(signer) is None
    assert after.ledger.identity.epoch == 3
    after.guard.shown(kept)
    assert not after.guard.is_behind
    server.ledger = after.ledger


@pytest.mark.parametrize("reason", ["", "  \n", "a\0b", "\x1b[2J"])
def test_reason_must_be_a_line_of_text(server: GuardedLedger, reason: str) -> None:
    server.file.write(RollbackNotes({SIGNER.serial: SignerAhead(3, 1, NOW)}))
    with pytest.raises(UsageError, match="reason"):
        server.accepts(reason=reason)


def test_notes_are_read_as_they_were_written(server: GuardedLedger) -> None:
    notes = RollbackNotes({SIGNER.serial: SignerAhead(3, 1, NOW)}, b"\xffa note")
    server.file.write(notes)
    assert server.file.read() == notes
    server.file.write(replace(notes, signers={}, checkpoint=b""))
    assert not server.file.path.exists()
    assert server.file.read() == RollbackNotes()


def test_damaged_notes_stop_the_start(server: GuardedLedger) -> None:
    server.file.write(RollbackNotes({SIGNER.serial: SignerAhead(3, 1, NOW)}, b"note"))
    whole = server.file.path.read_bytes()
    for length in range(len(whole) - 2):
        server.file.path.write_bytes(whole[:length])
        with pytest.raises(UsageError) as refused:
            server.start()
        assert refused.value.code == Code.FILE_INVALID
    for other in (b"[]", b"3", b'{"signers": {"00": {}}, "checkpoint": ""}', b'{"signers": 3, "checkpoint": ""}'):
        server.file.path.write_bytes(other)
        with pytest.raises(UsageError):
            server.start()
