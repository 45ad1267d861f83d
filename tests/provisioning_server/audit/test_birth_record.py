from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.transparency.tiles import tree_root
from provisioning_server.audit.birth_record import BirthRecord, LoggedEvent, make_birth_record
from provisioning_server.audit.log_key import open_key_file
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.audit.verify_birth import verify_birth_record
from provisioning_server.audit.verify_log import AuditOrder
from provisioning_server.ledger.changes import Intent, Lost
from provisioning_server.ledger.store import Ledger
from tests.provisioning_server.audit.true_ledger import SIGNER, certificate, fill, report, write
from tests.support.in_memory_signer import NOW
from tests.support.log_judge import log_judge
from tests.support.server_parts import chip_serial
from tests.support.system_programs import require_program
from tests.transparency.known_notes import WITNESS


@pytest.fixture
def birth(ledger: Ledger, log_signer: LogSigner) -> BirthRecord:
    """The record of chip 2, which was lost once before it got its certificate, and reported twice."""
    fill(ledger, 1)
    issued = certificate(2)
    record = issued.record
    intent = Intent(
        record.chip_serial, record.public_key, SIGNER.serial, SIGNER.documents.signer_public_key, record.documents, NOW,
        b"unsigned", "00" * 8,
    )  # fmt: skip
    write(ledger, Lost(intent, NOW, True, "stopped"))
    write(ledger, issued)
    write(ledger, report(3, issued, 2), report(3, issued, 2, fate="set-aside"))
    fill(ledger, 1, first=3)
    signed = log_signer.checkpoint().cosigned_by(WITNESS)
    return make_birth_record(ledger, chip_serial(2), signed, log_signer.verifier_key, [WITNESS.key])


def codes(record: BirthRecord, order: AuditOrder | None = None) -> set[str]:
    return {finding.code for finding in verify_birth_record(record, order or AuditOrder(key=record.log_key)).findings}


def test_record_has_all_entries_of_its_chip_and_verifies_alone(birth: BirthRecord) -> None:
    read = BirthRecord.parse(birth.to_bytes())
    assert read == birth
    assert [event.proof.index for event in read.events] == [2, 3, 4, 5]
    found = verify_birth_record(read, AuditOrder(key=birth.log_key, witnesses=(WITNESS.key,)))
    assert found.findings == []
    assert found.counts["proofs of possession"] == 2
    assert any("Cosigned by witness.example/w1" in line for line in found.checked)


@pytest.mark.slow
def test_go_and_openssl_agree(birth: BirthRecord, tmp_path: Path) -> None:
    fields = json.loads(birth.to_bytes())
    for number, event in enumerate(fields["events"]):
        (tmp_path / "proof").write_text(event["proof"])
        (tmp_path / "entry").write_text(event["entry"])
        found = log_judge().proof(tmp_path / "proof", tmp_path / "entry", fields["log_key"], *fields["witness_keys"])
        assert found.split()[1:] == ["8", str(2 + number)]
    device, signer, root = fields["certificates"].split("-----BEGIN")[1:]
    for name, part in (("device", device), ("signer", signer), ("root", root)):
        (tmp_path / name).write_text(f"-----BEGIN{part}")
    words = ["verify", "-CAfile", "root", "-untrusted", "signer", "device"]
    done = subprocess.run([require_program("openssl"), *words], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_record_by_an_older_checkpoint_has_only_what_was_there(
    birth: BirthRecord, ledger: Ledger, log_signer: LogSigner
) -> None:
    old = replace(log_signer.checkpoint().checkpoint, size=4, root=tree_root(4, ledger.tile))
    with pytest.raises(UsageError, match="no entry of chip") as caught:
        make_birth_record(ledger, chip_serial(3), replace(log_signer.checkpoint(), checkpoint=old), birth.log_key)
    assert caught.value.code == Code.RECORD_MISSING


def _other_key(record: BirthRecord, tmp_path: Path) -> BirthRecord:
    other = open_key_file(tmp_path / "other.pem", make=True).signer(record.log_key.name)
    return replace(record, log_key=other.key)


def _with_events(
    change: Callable[[LoggedEvent], LoggedEvent], *places: int
) -> Callable[[BirthRecord, Path], BirthRecord]:
    def changed(record: BirthRecord, _: Path) -> BirthRecord:
        events = tuple(change(each) if place in places else each for place, each in enumerate(record.events))
        return replace(record, events=events)

    return changed


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            _with_events(lambda event: replace(event, entry=event.entry.replace(b"good", b"bad!")), 2),
            "proof-of-log-invalid",
        ),
        (_with_events(lambda event: replace(event, proof=replace(event.proof, index=9)), 1), "proof-of-log-invalid"),
        (_with_events(lambda event: replace(event, proof=replace(event.proof, hashes=())), 1), "proof-of-log-invalid"),
        (lambda record, _: replace(record, events=record.events[:1] * 2), "entry-twice"),
        (lambda record, _: replace(record, events=record.events[2:]), "report-without-certificate"),
        (lambda record, _: replace(record, events=record.events[:1]), "certificate-missing"),
        (lambda record, _: replace(record, documents={}), "documents-invalid"),
        (lambda record, _: replace(record, chip_serial=chip_serial(1)), "entry-of-other-chip"),
        (_other_key, "proof-of-log-invalid"),
    ],
)
def test_changed_record_is_found(
    birth: BirthRecord, tmp_path: Path, change: Callable[[BirthRecord, Path], BirthRecord], expected: str
) -> None:
    assert expected in codes(change(birth, tmp_path))


def test_key_of_the_reader_counts_and_not_that_in_the_record(birth: BirthRecord, tmp_path: Path) -> None:
    other = _other_key(birth, tmp_path).log_key
    assert codes(birth, AuditOrder(key=other)) == {"proof-of-log-invalid"}
    unseen = replace(WITNESS.key, name="witness.example/w2")
    assert codes(birth, AuditOrder(key=birth.log_key, witnesses=(unseen,))) == {"cosignature-missing"}


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_damaged_file_is_refused_or_read_without_a_crash(birth: BirthRecord, data: st.DataObject) -> None:
    whole = birth.to_bytes()
    start = data.draw(st.integers(0, len(whole)))
    kind = data.draw(st.sampled_from(["cut", "flipped", "spliced"]))
    changed = bytearray(whole[:start] if kind == "cut" else whole)
    if kind == "flipped" and start < len(whole):
        changed[start] ^= 1 << data.draw(st.integers(0, 7))
    if kind == "spliced":
        changed[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    try:
        record = BirthRecord.parse(bytes(changed))
    except UsageError:
        return
    verify_birth_record(record, AuditOrder(key=birth.log_key))


@pytest.mark.parametrize(
    "garbage", [b"", b"{}", b"[]", b"null", b"[" * 5000, b'{"format":"atcaprov birth record","version":2}']
)
def test_other_files_are_refused(garbage: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        BirthRecord.parse(garbage)
    assert caught.value.code == Code.FILE_INVALID
