"""What a station keeps of ledgers: which servers it refuses, what it only tells, and that it gives no false alarm."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from atcaprov import AtcaProvError, Code, UsageError
from atcaprov.file_lock import try_lock
from atcaprov.transparency.checkpoint import Checkpoint
from atcaprov.transparency.ledger_checkpoint import LogOrigin
from atcaprov.transparency.verifier_keys import Ed25519Signer, VerifierKey
from provisioning_client import known_checkpoints
from provisioning_client.cli import command as provisioning_client
from provisioning_client.known_checkpoints import KnownCheckpoints

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LEDGER, OTHER = bytes(range(16)), bytes(16)

Open = Callable[..., KnownCheckpoints]


class Log:
    """What a server sends of its ledger."""

    def __init__(self, ledger_id: bytes = LEDGER, epoch: int = 1, private: Ed25519PrivateKey = PRIVATE) -> None:
        self._signer = Ed25519Signer(str(LogOrigin(ledger_id, epoch)), private)

    @property
    def key(self) -> bytes:
        return str(self._signer.key).encode()

    def note(self, size: int, root: bytes = b"") -> bytes:
        root = root or size.to_bytes(32, "big")
        return Checkpoint(self._signer.key.name, size, root).signed_by(self._signer).to_bytes()


@pytest.fixture
def warnings() -> list[AtcaProvError]:
    return []


@pytest.fixture
def station(tmp_path: Path, warnings: list[AtcaProvError]) -> Open:
    def opened(server: str = "line:11235", pinned: VerifierKey | None = None) -> KnownCheckpoints:
        return KnownCheckpoints(tmp_path / "checkpoints", server, warnings.append, pinned)

    return opened


def exchange(known: KnownCheckpoints, log: Log, size: int, root: bytes = b"") -> bytes:
    """Ask a server for its signer; return the checkpoint that it is shown."""
    shown = known.to_show()
    known.seen(log.note(size, root), log.key)
    return shown


def test_ledger_that_grows_or_stays_is_accepted(station: Open, warnings: list[AtcaProvError]) -> None:
    known, log = station(), Log()
    for size in (0, 0, 1, 5, 5, 400):
        exchange(known, log, size)
    exchange(station(), log, 400)
    assert warnings == []


def test_ledger_that_is_shorter_than_before_is_refused(station: Open) -> None:
    log = Log()
    exchange(station(), log, 7)
    with pytest.raises(AtcaProvError, match="it has 6 entries in epoch 1, and had 7 entries in epoch 1") as refused:
        exchange(station(), log, 6)
    assert refused.value.code == Code.SERVER_BEHIND
    exchange(station(), log, 7)


def test_ledger_with_other_entries_is_refused(station: Open) -> None:
    log = Log()
    exchange(station(), log, 7)
    with pytest.raises(AtcaProvError, match="other entries") as refused:
        exchange(station(), log, 7, b"\xff" * 32)
    assert refused.value.code == Code.LEDGER_FORKED


def test_checkpoint_of_a_report_counts(station: Open) -> None:
    known, log = station(), Log()
    exchange(known, log, 7)
    known.acknowledged(log.note(9))
    with pytest.raises(AtcaProvError, match="and had 9"):
        exchange(station(), log, 8)


@pytest.mark.parametrize("note", [b"", b"garbage", Log().note(4), Log(OTHER).note(9), Log(private=OTHER_KEY).note(90)])
def test_other_checkpoints_of_reports_are_not_kept(station: Open, note: bytes) -> None:
    known, log = station(), Log()
    exchange(known, log, 7)
    known.acknowledged(note)
    assert known.to_show() == log.note(7)


def test_server_is_shown_the_newest_as_soon_as_it_has_sent_one(station: Open) -> None:
    log = Log()
    exchange(station(), log, 7)
    known = station()
    assert exchange(known, log, 8) == b"", "it may be of an older version"
    assert exchange(known, log, 8) == log.note(8)
    known.disconnected()
    assert exchange(known, log, 8) == b""


def test_server_that_is_behind_is_shown_what_it_lacks(station: Open) -> None:
    log = Log()
    exchange(station(), log, 7)
    known = station()
    with pytest.raises(AtcaProvError):
        exchange(known, log, 6)
    assert known.to_show() == log.note(7)


def test_answer_is_compared_with_what_was_kept_when_it_was_asked_for(station: Open) -> None:
    """Another program of the station gets a newer checkpoint while the answer is on its way."""
    log, slow, quick = Log(), station(), station()
    exchange(slow, log, 7)
    slow.to_show()
    exchange(quick, log, 8)
    slow.seen(log.note(7), log.key)
    assert slow.to_show() == log.note(8), "the newer one stays"


def test_two_servers_on_one_ledger_cause_no_alarm(station: Open, warnings: list[AtcaProvError]) -> None:
    first, second, log = station("a:1"), station("b:1"), Log()
    for size in range(0, 8, 2):
        exchange(first, log, size)
        exchange(second, log, size + 1)
    assert warnings == []


def test_server_with_a_copy_of_the_ledger_is_refused_by_the_other_ones_station(station: Open) -> None:
    log = Log()
    exchange(station("a:1"), log, 7)
    with pytest.raises(AtcaProvError):
        exchange(station("b:1"), log, 5)


def test_ledgers_are_kept_apart(station: Open, tmp_path: Path) -> None:
    known = station()
    exchange(known, Log(), 7)
    exchange(known, Log(OTHER), 2)
    names = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.json"))
    assert names == sorted(f"{ledger.hex()}.json" for ledger in (LEDGER, OTHER))
    exchange(known, Log(), 7)
    assert known.to_show() == Log().note(7)


def test_accepted_rollback_is_told_once(station: Open, warnings: list[AtcaProvError]) -> None:
    exchange(station(), Log(), 100)
    for _ in range(3):
        exchange(station(), Log(epoch=2), 60)
    assert [warning.code for warning in warnings] == [Code.LEDGER_ROLLED_BACK]
    with pytest.raises(AtcaProvError) as refused:
        exchange(station(), Log(), 101)
    assert refused.value.code == Code.SERVER_BEHIND


def test_log_key_is_pinned_at_first_sight(station: Open, tmp_path: Path) -> None:
    exchange(station(), Log(), 7)
    forged = Log(private=OTHER_KEY)
    with pytest.raises(AtcaProvError, match="signed by another key") as refused:
        exchange(station(), forged, 8)
    assert refused.value.code == Code.LEDGER_FORKED
    (tmp_path / "checkpoints" / f"{LEDGER.hex()}.json").unlink()
    exchange(station(), forged, 8)


def test_log_key_can_be_given_beforehand(station: Open) -> None:
    pinned = VerifierKey.parse(Log().key.decode())
    with pytest.raises(AtcaProvError, match="signed by another key"):
        exchange(station(pinned=pinned), Log(private=OTHER_KEY), 8)
    exchange(station(pinned=pinned), Log(epoch=3), 8)


def test_note_that_its_key_has_not_signed_is_refused(station: Open) -> None:
    known = station()
    known.to_show()
    with pytest.raises(UsageError) as refused:
        known.seen(Log(private=OTHER_KEY).note(8), Log().key)
    assert refused.value.code == Code.LOG_MISMATCH


@pytest.mark.parametrize("note", [b"x", b"\xff" * 1024, b"atcaprov.ledger/\n", Log().note(7)[:-1]])
@pytest.mark.parametrize("key", [b"x", b"\xff", Log().key])
def test_garbage_is_a_typed_error(station: Open, note: bytes, key: bytes) -> None:
    known = station()
    known.to_show()
    with pytest.raises(UsageError):
        known.seen(note, key)


def test_server_that_sends_none_any_more_is_told_once(station: Open, warnings: list[AtcaProvError]) -> None:
    known = station()
    for _ in range(3):
        known.to_show()
        known.seen(b"", b"")
    assert warnings == [], "an older server, as before"
    exchange(known, Log(), 7)
    for _ in range(3):
        known.to_show()
        known.seen(b"", b"")
    assert [warning.code for warning in warnings] == [Code.CHECKPOINT_MISSING]
    other = station("another:1")
    other.to_show()
    other.seen(b"", b"")
    assert len(warnings) == 1, "of that server none is kept"


def test_damaged_file_is_named_with_advice(station: Open, tmp_path: Path) -> None:
    exchange(station(), Log(), 7)
    (path,) = (tmp_path / "checkpoints").glob("*.json")
    whole = path.read_bytes()
    for damaged in (b"", b"{}", b"[]", whole[:-5], whole.replace(b'"servers"', b'"x"'), b"\xff", whole[:200]):
        path.write_bytes(damaged)
        with pytest.raises(UsageError) as refused:
            exchange(station(), Log(), 7)
        assert refused.value.code == Code.FILE_INVALID
        assert str(path) in str(refused.value)
        assert "remove it" in refused.value.advice
    path.unlink()
    exchange(station(), Log(), 6)


def test_file_of_another_ledger_is_damaged(station: Open, tmp_path: Path) -> None:
    exchange(station(), Log(), 7)
    (path,) = (tmp_path / "checkpoints").glob("*.json")
    path.rename(path.with_name(f"{OTHER.hex()}.json"))
    with pytest.raises(UsageError, match="of another ledger"):
        exchange(station(), Log(OTHER), 7)


def test_another_folder_is_used_if_one_cannot_be_written(station: Open, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("not a folder")
    with pytest.raises(UsageError) as refused:
        exchange(station(), Log(), 7)
    assert refused.value.code == Code.FILE_UNWRITABLE
    words = ["--device", "emulator:", "--checkpoints", str(tmp_path / "another")]
    chosen = provisioning_client.make_context("provisioning-client", words).params["checkpoints"]
    exchange(KnownCheckpoints(chosen, "line:11235", print), Log(), 7)
    assert list(chosen.glob("*.json"))


@pytest.mark.slow
def test_newest_of_several_programs_is_kept(station: Open) -> None:
    log = Log()
    exchange(station(), log, 0)

    def reports(first: int) -> None:
        known = station()
        for size in range(first, 200, 8):
            known.acknowledged(log.note(size))

    with ThreadPoolExecutor(8) as programs:
        list(programs.map(reports, range(1, 9)))
    with pytest.raises(AtcaProvError, match="and had 199"):
        exchange(station(), log, 198)


def test_program_that_holds_the_lock_is_not_waited_for_long(
    station: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_checkpoints, "LOCK_SECONDS", 0.0)
    log = Log()
    exchange(station(), log, 7)
    descriptor = os.open(tmp_path / "checkpoints" / "lock", os.O_RDWR)
    try:
        assert try_lock(descriptor)
        exchange(station(), log, 8)
    finally:
        os.close(descriptor)
    assert exchange(station(), log, 9) == b""


def test_file_is_only_written_when_it_changes(station: Open, tmp_path: Path) -> None:
    exchange(station(), Log(), 7)
    (path,) = (tmp_path / "checkpoints").glob("*.json")
    before = path.stat().st_ino
    exchange(station(), Log(), 7)
    assert path.stat().st_ino == before
