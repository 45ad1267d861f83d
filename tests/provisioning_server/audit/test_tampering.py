"""Records that were flipped, dropped, swapped, cut off or rolled back, in the database and in an exported folder."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from atcaprov import UsageError
from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.merkle import verify_consistency
from atcaprov.transparency.tile_files import TilePath, pack_bundle, unpack_bundle
from atcaprov.transparency.tiles import consistency_proof
from provisioning_server.audit.findings import AuditReport
from provisioning_server.audit.log_key import KEY_FILE, open_key_file, open_log_key
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.audit.log_source import FolderLog, LedgerLog
from provisioning_server.audit.verify_log import AuditOrder, verify_log
from provisioning_server.ledger.entry_bodies import encode
from provisioning_server.ledger.open_ledger import FILE_NAME, open_for_reading, open_ledger
from provisioning_server.ledger.store import Ledger
from tests.provisioning_server.audit.conftest import Exported
from tests.provisioning_server.audit.forged_folder import forge_folder
from tests.provisioning_server.audit.true_ledger import certificate, fill, report, write
from tests.provisioning_server.ledger.conftest import OpenStore
from tests.support.in_memory_signer import NOW
from tests.transparency.known_notes import WITNESS

CHIPS = 4


def codes(found: AuditReport) -> set[tuple[str, int | None]]:
    return {(one.code, one.index) for one in found.findings}


class EditedLedger:
    """A ledger in a file of SQLite that someone edits while no server runs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        ledger = open_ledger(self.path, NOW)
        fill(ledger, CHIPS)
        self.key = LogSigner(ledger, open_log_key(folder, ledger)).verifier_key
        self.checkpoint = LogSigner(ledger, open_log_key(folder, ledger)).checkpoint()
        ledger.close()

    def edit(self, *statements: str) -> None:
        connection = sqlite3.connect(self.path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def audit(self, *since: SignedCheckpoint) -> set[tuple[str, int | None]]:
        ledger = open_for_reading(self.path, check=False)
        found = verify_log(LedgerLog(ledger), AuditOrder(key=self.key, since=since))
        ledger.close()
        return codes(found)


@pytest.fixture
def edited(tmp_path: Path) -> EditedLedger:
    return EditedLedger(tmp_path)


def test_untouched_database_has_no_findings(edited: EditedLedger) -> None:
    assert edited.audit(edited.checkpoint) == set()


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["UPDATE entries SET body = replace(body, '\"good\"', '\"GOOD\"') WHERE idx = 3"], ("entry-changed", 3)),
        (["UPDATE entries SET kind = 'lost' WHERE idx = 2"], ("entry-changed", 2)),
        (["DELETE FROM entries WHERE idx = 2"], ("entry-changed", 2)),
        (["DELETE FROM entries WHERE idx = 7"], ("entry-changed", 7)),
        (["DELETE FROM entries"], ("entry-changed", 0)),
        (
            [
                "UPDATE entries SET idx = -1 WHERE idx = 1",
                "UPDATE entries SET idx = 1 WHERE idx = 5",
                "UPDATE entries SET idx = 5 WHERE idx = -1",
            ],
            ("entry-changed", 5),
        ),
        (["UPDATE tree SET root = zeroblob(32)"], ("root-differs", None)),
        (["UPDATE tree SET size = 6"], ("root-differs", None)),
        (["DELETE FROM documents"], ("documents-invalid", 0)),
        (["DELETE FROM certificates WHERE idx = 2"], ("table-differs", 2)),
        (["UPDATE certificates SET chip_serial = zeroblob(9) WHERE idx = 4"], ("table-differs", 4)),
        (["UPDATE certificates SET proven = NULL WHERE idx = 4"], ("table-differs", 5)),
        (["UPDATE signers SET issued = issued - 1"], ("table-differs", None)),
    ],
)
def test_edited_database_is_found(
    edited: EditedLedger, statements: list[str], expected: tuple[str, int | None]
) -> None:
    edited.edit(*statements)
    assert expected in edited.audit()


def test_tile_that_was_edited_is_found_or_refused(edited: EditedLedger) -> None:
    edited.edit("UPDATE tiles SET hashes = zeroblob(32 * 8) WHERE level = 0")
    assert ("entry-changed", 0) in edited.audit()
    edited.edit("DELETE FROM tiles")
    with pytest.raises(UsageError, match="Tile 0 of level 0"):
        edited.audit()


def test_restored_older_database_is_found_by_a_newer_checkpoint(edited: EditedLedger, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copyfile(edited.path, older)
    ledger = open_ledger(edited.path, NOW)
    fill(ledger, 2, first=CHIPS + 1)
    newest = LogSigner(ledger, open_log_key(tmp_path, ledger)).checkpoint()
    ledger.close()
    assert edited.audit(newest) == set()
    shutil.copyfile(older, edited.path)
    assert edited.audit() == set()  # nothing in it tells that it was longer once
    assert edited.audit(newest) == {("rolled-back", None)}


def test_history_that_was_written_again_is_found_by_an_older_checkpoint(edited: EditedLedger, tmp_path: Path) -> None:
    old = edited.checkpoint
    edited.path.unlink()
    ledger = open_ledger(edited.path, NOW)  # a new ledger with other entries and right hashes
    ledger.claim_log_key(edited.key.encoded)
    fill(ledger, CHIPS + 2, first=2)
    ledger.close()
    assert edited.audit() == set()
    assert edited.audit(old) == {("forked", None)}


@pytest.fixture
def export(exported: Exported) -> Exported:
    """An exported log of 8 entries."""
    fill(exported.ledger, CHIPS)
    exported.export()
    return exported


def audit(export: Exported, *since: SignedCheckpoint) -> set[tuple[str, int | None]]:
    return codes(verify_log(FolderLog(export.folder), AuditOrder(key=export.signer.verifier_key, since=since)))


BUNDLE = str(TilePath(None, 0, 2 * CHIPS))
TILE = str(TilePath(0, 0, 2 * CHIPS))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda entries: [*entries[:3], entries[3].replace(b'"good"', b'"GOOD"'), *entries[4:]], ("entry-changed", 3)),
        (lambda entries: [entries[1], entries[0], *entries[2:]], ("entry-changed", 0)),
        (lambda entries: [*entries[:2], b"", *entries[3:]], ("entry-changed", 2)),
        (lambda entries: [*entries[:2], *entries[3:]], ("entries-missing", 7)),
        (lambda entries: entries[:-1], ("entries-missing", 7)),
    ],
)
def test_edited_entries_of_a_folder_are_found(
    export: Exported, change: Callable[[list[bytes]], list[bytes]], expected: tuple[str, int | None]
) -> None:
    path = export.folder / BUNDLE
    path.write_bytes(pack_bundle(change(unpack_bundle(path.read_bytes()))))
    assert expected in audit(export)


@pytest.mark.parametrize("name", [BUNDLE, TILE, "checkpoint"])
def test_missing_or_cut_file_of_a_folder_is_found(export: Exported, name: str) -> None:
    path = export.folder / name
    whole = path.read_bytes()
    for part in (whole[:-1], whole[: len(whole) // 2], b"", None):
        path.write_bytes(part) if part is not None else path.unlink()
        try:
            assert audit(export)
        except UsageError:
            assert name == "checkpoint"


@pytest.mark.slow
def test_every_flipped_bit_of_a_folder_is_found(export: Exported) -> None:
    documents = next(export.folder.glob("documents/*.cbor"))
    for path in (export.folder / BUNDLE, export.folder / TILE, export.folder / "checkpoint", documents):
        whole = path.read_bytes()
        step = max(1, len(whole) // 60)
        for place in range(0, len(whole), step):
            changed = bytearray(whole)
            changed[place] ^= 1 << (place % 8)
            path.write_bytes(bytes(changed))
            try:
                assert audit(export), (path, place)
            except UsageError:
                assert path.name == "checkpoint"
        path.write_bytes(whole)
    assert audit(export) == set()


def test_folder_that_was_rolled_back_is_found(export: Exported, tmp_path: Path) -> None:
    shutil.copytree(export.folder, tmp_path / "older")
    fill(export.ledger, 1, first=CHIPS + 1)
    newest = export.export().checkpoint
    shutil.rmtree(export.folder)
    shutil.copytree(tmp_path / "older", export.folder)
    assert audit(export) == set()
    assert audit(export, newest) == {("rolled-back", None)}


def test_forged_log_with_recomputed_hashes_is_found(export: Exported, tmp_path: Path) -> None:
    """The forger has the key of the log; only a checkpoint that someone else has kept can tell."""
    old = export.signer.checkpoint()
    key = open_key_file(tmp_path / KEY_FILE, make=False).signer(export.signer.verifier_key.name)
    events = [
        event for chip in range(2, 8) for event in (certificate(chip), report(2 * chip - 4, certificate(chip), chip))
    ]
    shutil.rmtree(export.folder)
    forge_folder(export.folder, [encode(event).encode() for event in events], key)
    assert audit(export) == set()
    assert audit(export, old) == {("forked", None)}
    cosigned = export.folder / "cosigned" / "000000000008-abcdef01"
    cosigned.parent.mkdir()
    cosigned.write_bytes(old.cosigned_by(WITNESS).to_bytes())
    assert audit(export) == {("forked", None)}


@pytest.mark.slow
def test_two_writers_never_fork_the_log(open_store: OpenStore, tmp_path: Path) -> None:
    """Two servers on one ledger write and sign at the same time; every two of their checkpoints are consistent."""
    first = open_store()
    open_log_key(tmp_path, first)
    checkpoints: list[SignedCheckpoint] = []

    def serve(ledger: Ledger, chips: range) -> None:
        signer = LogSigner(ledger, open_log_key(tmp_path, ledger))
        for chip in chips:
            write(ledger, certificate(chip))
            checkpoints.append(signer.checkpoint())

    second = open_store()
    for chip in range(1, 61):
        certificate(chip)
    threads = [
        threading.Thread(target=serve, args=(first, range(1, 31))),
        threading.Thread(target=serve, args=(second, range(31, 61))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    key = LogSigner(first, open_log_key(tmp_path, first)).verifier_key
    heads = sorted({(one.checkpoint.size, one.checkpoint.root) for one in checkpoints})
    assert len(checkpoints) == 60
    assert heads[-1][0] == first.head().size == second.head().size == 60
    for signed in checkpoints:
        signed.verify(key)
    for (old, old_root), (new, new_root) in pairwise(heads):
        verify_consistency(old, old_root, new, new_root, consistency_proof(old, new, first.tile))
    assert codes(verify_log(LedgerLog(second), AuditOrder(key=key, since=tuple(checkpoints)))) == set()
    first.close()
    second.close()
