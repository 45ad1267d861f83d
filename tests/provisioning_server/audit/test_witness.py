from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path

import pytest

from atcaprov import Code, UsageError, durable_files
from atcaprov.transparency.verifier_keys import timestamp_of
from provisioning_server.audit.log_key import KEY_FILE, open_key_file
from provisioning_server.audit.log_source import FolderLog
from provisioning_server.audit.witness import Witness
from provisioning_server.ledger.changes import RollbackAccepted
from tests.provisioning_server.audit.conftest import Exported
from tests.provisioning_server.audit.forged_folder import forge_folder
from tests.provisioning_server.audit.true_ledger import certificate, fill, write
from tests.support.in_memory_signer import NOW
from tests.support.log_judge import log_judge

TIME = 1_795_000_000
NAME = "witness.example.com/hall-2"


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "witness", NAME)


def refusal(witness: Witness, log: FolderLog) -> str:
    with pytest.raises(UsageError) as caught:
        witness.cosign(log, TIME)
    assert caught.value.code == Code.WITNESS_REFUSED
    return caught.value.what


def test_witness_cosigns_what_continues(exported: Exported, witness: Witness, tmp_path: Path) -> None:
    fill(exported.ledger, 2)
    witness.cosign(exported.export(), TIME, exported.signer.verifier_key)
    fill(exported.ledger, 2, first=3)
    again = Witness(tmp_path / "witness", NAME)  # it was stopped meanwhile
    cosigned = again.cosign(exported.export(), TIME + 1)
    signatures = cosigned.verify(exported.signer.verifier_key, [witness.verifier_key])
    assert [timestamp_of(one.signature) for one in signatures.values()] == [TIME + 1]
    assert cosigned.checkpoint.size == 8


@pytest.mark.slow
def test_cosignature_holds_for_go(exported: Exported, witness: Witness, tmp_path: Path) -> None:
    fill(exported.ledger, 2)
    cosigned = witness.cosign(exported.export(), TIME, exported.signer.verifier_key)
    (tmp_path / "cosigned").write_bytes(cosigned.to_bytes())
    log_judge().open(tmp_path / "cosigned", str(exported.signer.verifier_key), str(witness.verifier_key))


def test_witness_refuses_a_log_that_went_back(exported: Exported, witness: Witness, tmp_path: Path) -> None:
    fill(exported.ledger, 1)
    exported.export()
    shutil.copytree(exported.folder, tmp_path / "old")
    fill(exported.ledger, 1, first=2)
    witness.cosign(exported.export(), TIME, exported.signer.verifier_key)
    assert "went back from 4 entries to 2" in refusal(witness, FolderLog(tmp_path / "old"))
    # What was refused changed nothing.
    assert witness.cosign(exported.export(), TIME).checkpoint.size == 4


def forged(exported: Exported, tmp_path: Path, chips: list[int]) -> FolderLog:
    """Return a log of other certificates with recomputed hashes, signed with the log's own key."""
    key = open_key_file(tmp_path / KEY_FILE, make=False).signer(exported.signer.verifier_key.name)
    forge_folder(tmp_path / "forged", [certificate(chip) for chip in chips], key)
    return FolderLog(tmp_path / "forged")


@pytest.mark.parametrize("chips", [[1, 2, 4], [1, 2, 4, 5], [4, 2, 3, 5, 6]])
def test_witness_refuses_a_fork(exported: Exported, witness: Witness, tmp_path: Path, chips: list[int]) -> None:
    write(exported.ledger, *[certificate(chip) for chip in (1, 2, 3)])
    witness.cosign(exported.export(), TIME, exported.signer.verifier_key)
    assert "does not continue" in refusal(witness, forged(exported, tmp_path, chips))


def test_witness_does_not_know_logs_that_it_was_not_told_of(exported: Exported, witness: Witness) -> None:
    fill(exported.ledger, 1)
    assert "does not know the log" in refusal(witness, exported.export())
    witness.cosign(exported.export(), TIME, exported.signer.verifier_key)
    write(exported.ledger, RollbackAccepted(NOW, "restored"))  # the log goes on under another name
    assert "does not know the log" in refusal(witness, exported.export())
    witness.cosign(exported.export(), TIME, exported.signer.verifier_key)


def test_witness_refuses_another_key(exported: Exported, witness: Witness, tmp_path: Path) -> None:
    fill(exported.ledger, 1)
    witness.cosign(exported.export(), TIME, exported.signer.verifier_key)
    other = open_key_file(tmp_path / "other.pem", make=True).signer(exported.signer.verifier_key.name)
    with pytest.raises(UsageError, match="with another key") as caught:
        witness.cosign(FolderLog(exported.folder), TIME, other.key)
    assert caught.value.code == Code.WITNESS_REFUSED
    forge_folder(tmp_path / "forged", [certificate(1), certificate(2)], other)
    with pytest.raises(UsageError) as unsigned:
        witness.cosign(FolderLog(tmp_path / "forged"), TIME)
    assert unsigned.value.code == Code.LOG_MISMATCH


def test_nothing_is_cosigned_that_is_not_on_the_disk(
    exported: Exported, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(exported.ledger, 1)
    log = exported.export()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable_files, "replace", full)
    with pytest.raises(UsageError, match="No space left") as caught:
        witness.cosign(log, TIME, exported.signer.verifier_key)
    assert caught.value.code == Code.FILE_UNWRITABLE


def test_second_run_at_the_same_time_is_refused(exported: Exported, witness: Witness) -> None:
    fill(exported.ledger, 1)
    log = exported.export()
    with witness._locked():
        assert "Another program" in refusal(witness, log)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_only_the_owner_may_read_the_key_of_a_witness(witness: Witness, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "witness" / "witness-key.pem").stat().st_mode) == 0o600


def test_cosigned_checkpoints_are_kept_and_checked(exported: Exported, witness: Witness) -> None:
    fill(exported.ledger, 1)
    cosigned = witness.cosign(exported.export(), TIME, exported.signer.verifier_key)
    (exported.folder / "checkpoint").write_bytes(cosigned.to_bytes())
    assert exported.export().checkpoint == cosigned  # nothing is new, so the cosignature stays
    fill(exported.ledger, 1, first=2)
    assert exported.export().cosigned() == [cosigned]
