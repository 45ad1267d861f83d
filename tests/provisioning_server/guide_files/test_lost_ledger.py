"""A ledger that is older than the files that were made from it, or gone: the start is refused, and nothing is lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from atcaprov import Code
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerRequest
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.in_memory_signer import SigningKey
from tests.support.programs import run
from tests.support.server import WireClient, server_program
from tests.support.server_parts import config_zone
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

KEYS = [SigningKey().public_key for _ in range(4)]


@pytest.fixture
def signer(tmp_path: Path) -> SignerFolder:
    return make_signer_folder(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def issue(signer: SignerFolder, data: Path, *numbers: int) -> list[CertificatesReply]:
    with server_program("--signer", signer.path, "--data", data) as server, WireClient(server.address()) as client:
        chips = [CertificatesRequest(config_zone(number), KEYS[number], signer.public_key) for number in numbers]
        replies = [client.certificates(chip) for chip in chips]
        assert server.stop() == 0
    return replies


def refused_start(signer: SignerFolder, data: Path) -> str:
    with server_program("--signer", signer.path, "--data", data) as server:
        assert server.finish() == 2
    assert "Traceback" not in server.errors
    assert f"[{Code.RECORD_MISSING}]" in server.errors
    return " ".join(server.errors.split())


def test_an_older_ledger_is_refused_and_the_newest_one_works_again(signer: SignerFolder, data: Path) -> None:
    """As the advice says."""
    first = issue(signer, data, 1)
    ledger = data / "ledger.sqlite3"
    shutil.copy(ledger, data / "backup")
    second = issue(signer, data, 2)
    shutil.copy(ledger, data / "newest")
    shutil.copy(data / "backup", ledger)
    errors = refused_start(signer, data)
    assert "The ledger is older than the signing logs. Put the newest ledger back" in errors
    shutil.copy(data / "newest", ledger)
    assert issue(signer, data, 1, 2) == first + second


def test_an_older_ledger_can_be_accepted(signer: SignerFolder, data: Path) -> None:
    first = issue(signer, data, 1)
    shutil.copy(data / "ledger.sqlite3", data / "backup")
    issue(signer, data, 2)
    shutil.copy(data / "backup", data / "ledger.sqlite3")
    refused_start(signer, data)
    accepted = run("provisioning-server", "ledger", "accept-rollback", "--reason", "the disk died", "--data", data)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert issue(signer, data, 1, 3)[:1] == first


def test_a_ledger_that_is_gone_is_not_made_anew_from_the_signing_logs(signer: SignerFolder, data: Path) -> None:
    """They lack proofs and reports; so an operator has to decide."""
    first = issue(signer, data, 1)
    ledger = data / "ledger.sqlite3"
    ledger.rename(data / "elsewhere")
    assert f"The ledger {ledger} is missing" in refused_start(signer, data)
    (data / "elsewhere").rename(ledger)
    assert issue(signer, data, 1) == first


def test_signing_logs_and_certificate_files_may_be_moved_and_come_again(signer: SignerFolder, data: Path) -> None:
    """They are not the record any more."""
    first = issue(signer, data, 1)
    for log in (data / "logs").glob("signing-*.tsv"):
        log.rename(log.with_suffix(".moved"))
    shutil.rmtree(data / "certs")
    assert issue(signer, data, 1) == first
    assert len(list((data / "certs").glob("*_device.pem"))) == 1
    (log,) = (data / "logs").glob("signing-*.tsv")
    assert len(log.read_text().splitlines()) == 1, "what was moved is not written again"


def _moved(ledger: Path) -> None:
    ledger.rename(ledger.with_name("elsewhere"))


def _replaced_by_a_copy(ledger: Path) -> None:
    shutil.copy(ledger, ledger.with_name("copy"))
    ledger.with_name("copy").replace(ledger)


def _log_removed(ledger: Path) -> None:
    ledger.with_name("ledger.sqlite3-wal").unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no file that is open")
@pytest.mark.parametrize("change", [_moved, Path.unlink, _replaced_by_a_copy, _log_removed])
def test_a_ledger_that_is_moved_while_the_server_runs_ends_issuing(
    signer: SignerFolder, data: Path, change: Callable[[Path], None]
) -> None:
    """What is written to a file without a name is lost when the server ends."""
    with server_program("--signer", signer.path, "--data", data) as server, WireClient(server.address()) as client:
        chip = CertificatesRequest(config_zone(1), KEYS[1], signer.public_key)
        client.certificates(chip)
        change(data / "ledger.sqlite3")
        for message in (SignerRequest(signer.public_key), replace(chip, config_zone=config_zone(2)), chip):
            refused = client.ask(message)
            assert isinstance(refused, ErrorReply)  # before a board's configuration is locked, too
            assert refused.code == Code.RECORDS_FAILED
        assert server.stop() == 0
    assert any("was moved, removed or replaced" in line or "cannot be found" in line for line in server.lines)
