from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from atcaprov.transparency.checkpoint import Checkpoint, SignedCheckpoint
from provisioning_server.audit.export_log import LogExport
from provisioning_server.audit.findings import AuditReport
from provisioning_server.audit.log_key import KEY_FILE, open_key_file
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.audit.log_source import FolderLog, LedgerLog
from provisioning_server.audit.verify_log import AuditOrder, verify_log
from provisioning_server.ledger.changes import ClockAccepted, Event, Issued, RollbackAccepted
from provisioning_server.ledger.entry_bodies import KINDS, encode
from provisioning_server.ledger.store import Ledger
from tests.provisioning_server.audit.conftest import Exported
from tests.provisioning_server.audit.forged_folder import forge_folder
from tests.provisioning_server.audit.true_ledger import (
    SIGNER,
    certificate,
    challenge_of,
    fill,
    report,
    write,
)
from tests.provisioning_server.ledger.conftest import OpenStore
from tests.provisioning_server.ledger.events import ONE_OF_EACH
from tests.provisioning_server.ledger.events import SIGNER as DOCUMENTS_OWNER
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.log_judge import log_judge
from tests.transparency.known_notes import WITNESS


def codes(found: AuditReport) -> list[tuple[str, int | None]]:
    return [(one.code, one.index) for one in found.findings]


def audit(source: FolderLog | LedgerLog, exported: Exported, *since: SignedCheckpoint) -> AuditReport:
    return verify_log(source, AuditOrder(key=exported.signer.verifier_key, since=since))


def test_true_log_is_found_true(exported: Exported) -> None:
    fill(exported.ledger, 5)
    write(exported.ledger, ClockAccepted(NOW, NOW, "the battery was empty"))
    for source in (exported.export(), LedgerLog(exported.ledger)):
        found = audit(source, exported)
        assert found.findings == []
        assert found.counts == {
            "certificates": 5,
            "reports": 5,
            "proofs of possession": 5,
            "signer documents": 1,
            "accepted clocks": 1,
        }
        assert any("the battery was empty" in remark for remark in found.remarks)


@pytest.mark.slow
def test_folder_is_a_log_for_go(exported: Exported, tmp_path: Path) -> None:
    fill(exported.ledger, 3)
    old = tmp_path / "old"
    old.write_bytes(exported.signer.checkpoint().to_bytes())
    key = str(exported.signer.verifier_key)
    assert log_judge().open(old, key).split()[1] == "6"
    assert exported.export().verifier_key() == key
    fill(exported.ledger, 130, first=4)
    exported.export()
    assert log_judge().log(exported.folder, key, old=old).split()[1] == "266"
    assert verify_log(FolderLog(exported.folder), AuditOrder()).findings == []


def test_second_export_adds_what_is_new(exported: Exported) -> None:
    fill(exported.ledger, 2)
    exported.export()
    before = {path: path.stat().st_mtime_ns for path in exported.folder.rglob("*") if path.is_file()}
    assert LogExport(exported.ledger, exported.signer, exported.folder).run()[0] == 4
    kept = {path: path.stat().st_mtime_ns for path in exported.folder.rglob("*") if path.is_file()}
    assert {path for path in kept if kept[path] != before.get(path)} == {exported.folder / "verifier-key"}
    fill(exported.ledger, 1, first=3)
    assert audit(exported.export(), exported).findings == []


def test_export_of_another_ledger_to_the_folder_is_refused(exported: Exported, tmp_path: Path) -> None:
    fill(exported.ledger, 2)
    exported.export()
    forged = Checkpoint(exported.signer.verifier_key.name, 3, bytes(32)).to_text()
    path = exported.folder / "checkpoint"
    path.write_bytes(path.read_bytes().replace(exported.signer.checkpoint().note.text, forged))
    with pytest.raises(UsageError, match="does not continue") as caught:
        exported.export()
    assert caught.value.code == Code.LOG_MISMATCH


def test_every_kind_of_entry_is_read(exported: Exported) -> None:
    write(exported.ledger, *ONE_OF_EACH, signers=(DOCUMENTS_OWNER, SIGNER))
    found = audit(exported.export(), exported)
    assert {type(event) for event in ONE_OF_EACH} == set(KINDS)
    untrue = {"certificate-invalid", "proof-invalid", "revocation-without-certificate", "crl-invalid"}
    assert {one.code for one in found.findings} == untrue
    assert any("found again" in remark for remark in found.remarks)


OTHER = MemorySigner()


def with_record(issued: Issued, **changes: object) -> Issued:
    return replace(issued, record=replace(issued.record, **changes))  # type: ignore[arg-type]


def flipped(data: bytes, place: int = -1) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


ONE = certificate(1)
PROOF = report(0, ONE, 1)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([with_record(ONE, certificate=flipped(ONE.record.certificate))], "certificate-invalid"),
        ([with_record(ONE, compressed=flipped(ONE.record.compressed, 3))], "certificate-invalid"),
        ([with_record(ONE, public_key=certificate(2).record.public_key)], "certificate-invalid"),
        ([with_record(ONE, chip_serial=certificate(2).record.chip_serial)], "certificate-invalid"),
        ([with_record(ONE, documents=OTHER.documents.document_id)], "certificate-invalid"),
        ([ONE, replace(PROOF, signature=flipped(PROOF.signature))], "proof-invalid"),
        ([ONE, replace(PROOF, challenge=challenge_of(2))], "proof-invalid"),
        ([ONE, replace(PROOF, contents=bytes(32))], "proof-invalid"),
        ([ONE, certificate(1, key=2)], "chip-certified-twice"),
        ([ONE, certificate(1, seconds=1)], "chip-certified-twice"),
        ([ONE, certificate(2, key=1)], "key-on-two-chips"),
    ],
)
def test_entry_that_says_something_untrue_is_found(exported: Exported, events: list[Event], expected: str) -> None:
    write(exported.ledger, *events, signers=(SIGNER, OTHER))
    for source in (exported.export(), LedgerLog(exported.ledger)):
        assert codes(audit(source, exported)) == [(expected, len(events) - 1)]


TRUE_BODY = encode(ONE).encode()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([ONE, replace(PROOF, certificate_index=1)], "report-without-certificate"),
        ([ONE, replace(PROOF, certificate_index=-1)], "report-without-certificate"),
        ([ONE, replace(PROOF, certificate_index=7)], "report-without-certificate"),
        ([ONE, replace(PROOF, chip_serial=certificate(2).record.chip_serial)], "report-of-other-chip"),
        ([b""], "entry-malformed"),
        ([b"{}"], "entry-malformed"),
        ([b"[" * 10_000], "entry-malformed"),
        ([b'{"kind":"issued"}'], "entry-malformed"),
        ([TRUE_BODY.replace(b":", b": ", 1)], "entry-malformed"),
        ([TRUE_BODY + b"\n"], "entry-malformed"),
        ([TRUE_BODY.replace(b"Example", "Exümple".encode())], "entry-malformed"),
        ([TRUE_BODY.replace(ONE.record.certificate_serial.hex().encode(), b"00")], "certificate-invalid"),
        ([with_record(ONE, signer_id=b"\0\0")], "certificate-invalid"),
        ([with_record(ONE, documents="../" * 5)], "documents-invalid"),
        ([with_record(ONE, documents="00" * 32)], "documents-invalid"),
    ],
)
def test_entry_that_no_server_writes_is_found(
    log_signer: LogSigner, tmp_path: Path, events: list[Event | bytes], expected: str
) -> None:
    key = open_key_file(tmp_path / KEY_FILE, make=False).signer(log_signer.verifier_key.name)
    forge_folder(tmp_path / "forged", events, key)
    found = verify_log(FolderLog(tmp_path / "forged"), AuditOrder(key=key.key))
    assert codes(found) == [(expected, len(events) - 1)]


def test_chip_with_another_key_may_be_allowed(exported: Exported) -> None:
    write(exported.ledger, ONE, certificate(1, key=2))
    order = AuditOrder(key=exported.signer.verifier_key, allow_rekey=True)
    assert verify_log(exported.export(), order).findings == []


def test_certificate_that_began_in_the_future_may_be_replaced(exported: Exported) -> None:
    write(exported.ledger, certificate(1, seconds=86_400), certificate(1))
    assert audit(exported.export(), exported).findings == []


def test_proof_for_a_later_challenge_counts_as_one(exported: Exported) -> None:
    write(exported.ledger, ONE, report(0, ONE, 1, challenge=challenge_of(99)))
    found = audit(exported.export(), exported)
    assert found.findings == []
    assert found.counts["proofs for a later challenge"] == found.counts["proofs of possession"] == 1


def test_signature_of_another_key_is_found(exported: Exported, tmp_path: Path) -> None:
    fill(exported.ledger, 1)
    source = exported.export()
    other = open_key_file(tmp_path / "other.pem", make=True).signer(exported.signer.verifier_key.name).key
    assert codes(verify_log(source, AuditOrder(key=other))) == [("checkpoint-invalid", None)]


def test_old_checkpoint_of_an_earlier_epoch_is_still_a_check(exported: Exported) -> None:
    fill(exported.ledger, 1)
    old = exported.signer.checkpoint()
    write(exported.ledger, RollbackAccepted(NOW, "restored", checkpoint=old.to_bytes()))
    found = audit(exported.export(), exported, old)
    assert found.findings == []
    assert any("restored" in remark for remark in found.remarks)
    ahead = Checkpoint(old.checkpoint.origin, 9, bytes(32))
    assert codes(audit(LedgerLog(exported.ledger), exported, SignedCheckpoint(ahead, old.note))) == [
        ("rolled-back", None)
    ]


def test_log_that_lost_its_end_is_found_by_an_older_checkpoint_only(exported: Exported, open_store: OpenStore) -> None:
    fill(exported.ledger, 3)
    newest = exported.signer.checkpoint()
    fewer = _another_ledger(exported, 2)
    assert audit(LedgerLog(fewer), exported).findings == []
    assert codes(audit(LedgerLog(fewer), exported, newest)) == [("rolled-back", None)]


def _another_ledger(exported: Exported, chips: int) -> Ledger:
    from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger

    folder = exported.folder.parent / "another"
    folder.mkdir()
    ledger = open_ledger(folder / FILE_NAME, NOW)
    fill(ledger, chips)
    return ledger


def test_checkpoint_of_another_ledger_is_found(exported: Exported, tmp_path: Path) -> None:
    fill(exported.ledger, 1)
    origin = f"atcaprov.ledger/{'00' * 16}/1"
    signer = open_key_file(tmp_path / KEY_FILE, make=False).signer(origin)
    other = Checkpoint(origin, 2, exported.ledger.head().root).signed_by(signer)
    assert codes(audit(exported.export(), exported, other)) == [("checkpoint-of-other-log", None)]


def test_missing_or_wrong_cosignature_is_found(exported: Exported) -> None:
    fill(exported.ledger, 1)
    log = exported.export()
    key = exported.signer.verifier_key
    assert codes(verify_log(log, AuditOrder(key=key, witnesses=(WITNESS.key,)))) == [("cosignature-missing", None)]
    cosigned = log.checkpoint.cosigned_by(WITNESS)
    path = exported.folder / "checkpoint"
    path.write_bytes(cosigned.to_bytes())
    found = verify_log(FolderLog(exported.folder), AuditOrder(key=key, witnesses=(WITNESS.key,)))
    assert found.findings == []
    assert "The checkpoint is cosigned by witness.example/w1." in found.checked
    last = cosigned.note.signatures[-1]
    wrong = replace(
        cosigned.note, signatures=(*cosigned.note.signatures[:-1], replace(last, signature=flipped(last.signature)))
    )
    path.write_bytes(wrong.to_bytes())
    found = verify_log(FolderLog(exported.folder), AuditOrder(key=key, witnesses=(WITNESS.key,)))
    assert codes(found) == [("checkpoint-invalid", None)]


def test_ledger_that_grows_meanwhile_is_checked_up_to_its_head(exported: Exported) -> None:
    fill(exported.ledger, 2)
    source = LedgerLog(exported.ledger)
    fill(exported.ledger, 2, first=3)
    found = audit(source, exported)
    assert (found.findings, found.counts["certificates"]) == ([], 2)
