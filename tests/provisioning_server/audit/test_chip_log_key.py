from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code, UsageError, open_hal
from atcaprov.device.read_only import open_read_only
from atcaprov.transparency.verifier_keys import SignatureType
from provisioning_server.audit.chip_log_key import ChipLogKey, opened_log_key
from provisioning_server.audit.log_key import KEY_FILE, LogChip, open_key_file, open_log_key
from provisioning_server.audit.log_signer import LogSigner, origin_of, verifier_key_of
from provisioning_server.audit.log_source import FolderLog
from provisioning_server.audit.verify_log import AuditOrder, verify_log
from provisioning_server.cli import command
from provisioning_server.issuing.checkpoint_keeper import CheckpointKeeper
from provisioning_server.ledger.checkpoint_file import CheckpointFile
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.store import Ledger
from tests.provisioning_server.audit.true_ledger import fill
from tests.support.in_memory_signer import NOW
from tests.support.log_judge import log_judge
from tests.support.programs import run_in_process
from tests.support.server_parts import RememberingLog

IMAGE = "tngtls"


@pytest.fixture
def chip(tmp_path: Path) -> LogChip:
    """A chip whose key in slot 0 signs digests from outside; it keeps its keys."""
    url = f"emulator:{tmp_path / 'chip.json'}?image={IMAGE}"
    open_hal(url).close()
    return LogChip(url, 0)


def test_chip_signs_checkpoints(ledger: Ledger, chip: LogChip, tmp_path: Path) -> None:
    fill(ledger, 1)
    with opened_log_key(tmp_path, ledger, chip) as key:
        signer = LogSigner(ledger, key)
        signed = signer.checkpoint()
    assert signer.verifier_key.type is SignatureType.ECDSA
    signed.verify(signer.verifier_key)
    assert verifier_key_of(ledger) == signer.verifier_key
    assert not (tmp_path / KEY_FILE).exists()


def test_chip_signs_for_replies_at_most_every_ten_seconds(ledger: Ledger, chip: LogChip, tmp_path: Path) -> None:
    moment = 0.0
    with opened_log_key(tmp_path, ledger, chip) as key:
        signer = LogSigner(ledger, key, lambda: moment)
        assert signer.recent().checkpoint.size == 0
        fill(ledger, 1)
        moment = 9.9
        assert signer.recent().checkpoint.size == 0
        assert signer.checkpoint().checkpoint.size == 2
        fill(ledger, 1, first=2)
        moment = 20
        assert signer.recent().checkpoint.size == 4


def test_ledger_of_a_chip_takes_no_other_key(ledger: Ledger, chip: LogChip, tmp_path: Path) -> None:
    with opened_log_key(tmp_path, ledger, chip) as key:
        LogSigner(ledger, key)
    with pytest.raises(UsageError, match="signed by a chip") as missing, opened_log_key(tmp_path, ledger, None):
        pass
    assert missing.value.code == Code.LOG_KEY_OTHER
    with pytest.raises(UsageError) as other:
        LogSigner(ledger, open_key_file(tmp_path / "other.pem", make=True))
    assert other.value.code == Code.LOG_KEY_OTHER


def test_ledger_with_a_file_takes_no_chip(ledger: Ledger, chip: LogChip, tmp_path: Path) -> None:
    LogSigner(ledger, open_log_key(tmp_path, ledger))
    with opened_log_key(tmp_path, ledger, chip) as key, pytest.raises(UsageError) as caught:
        LogSigner(ledger, key)
    assert caught.value.code == Code.LOG_KEY_OTHER


def test_chip_signs_nothing_but_checkpoints_of_its_log(ledger: Ledger, chip: LogChip) -> None:
    with open_read_only(chip.url) as device:
        signer = ChipLogKey(device, chip.slot).signer(origin_of(ledger.identity))
        for text in (b"I owe you 100\n", b"another.log/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"):
            with pytest.raises(UsageError) as caught:
                signer.sign(text)
            assert caught.value.code == Code.LOG_INVALID


@pytest.mark.parametrize(("slot", "says"), [(1, "slot 1 cannot sign"), (8, "Slot 8 is not for private keys")])
def test_key_that_cannot_sign_is_refused(ledger: Ledger, chip: LogChip, slot: int, says: str, tmp_path: Path) -> None:
    with (
        pytest.raises(AtcaProvError, match=says),
        opened_log_key(tmp_path, ledger, LogChip(chip.url, slot)),
    ):
        pass


@pytest.mark.slow
def test_commands_with_a_chip(chip: LogChip, tmp_path: Path) -> None:
    with_ledger = open_ledger(tmp_path / FILE_NAME, NOW)
    fill(with_ledger, 2)
    with_ledger.close()
    folder = tmp_path / "log"
    words = ("--data", str(tmp_path), "audit", "export", str(folder))
    ended = run_in_process(command, *words, "--log-module", chip.url)
    assert ended.code == 0
    key = ended.out.strip().rpartition(": ")[2]
    assert log_judge().log(folder, key).split()[1] == "4"
    log = FolderLog(folder)
    assert verify_log(log, AuditOrder(key=verifier_key_of(open_ledger(tmp_path / FILE_NAME, NOW)))).findings == []
    without = run_in_process(command, *words)
    assert (without.code, "[log-key-other]" in without.err) == (2, True)
    assert "--log-module" in without.err


def test_server_goes_on_without_its_chip(ledger: Ledger, chip: LogChip, tmp_path: Path) -> None:
    log = RememberingLog()
    with opened_log_key(tmp_path, ledger, chip) as key:
        keeper = CheckpointKeeper(LogSigner(ledger, key), CheckpointFile(tmp_path), lambda: False, log)
    assert (keeper.newest(), keeper.newest()) == (b"", b"")
    keeper.keep()
    assert len(log.lines) == 1
    assert "is closed" in log.lines[0]
