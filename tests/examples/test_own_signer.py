"""examples/own_signer.py issues certificates with a key that it does not have."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from signer_module.on_files.signer_folder import SignerFolder
from tests.examples.conftest import EXAMPLES
from tests.support.ledgers import ledger_in
from tests.support.programs import LIMIT_SECONDS, killed_after, run
from tests.support.system_programs import require_program

pytestmark = pytest.mark.slow


@pytest.fixture
def port(signer: SignerFolder, tmp_path: Path) -> Iterator[str]:
    require_program("openssl")
    (signer.path / "key.pem").rename(tmp_path / "key.pem")
    command = [sys.executable, str(EXAMPLES / "own_signer.py"), str(signer.path), "key.pem", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        with killed_after(server, LIMIT_SECONDS):
            listening = next(line for line in server.stdout if "listening on" in line)
        yield listening.rstrip(".\n").rpartition(":")[2]
        server.terminate()
        server.communicate(timeout=LIMIT_SECONDS)
    assert server.returncode == 0


def provision(signer: SignerFolder, port: str, folder: Path) -> subprocess.CompletedProcess[str]:
    certinfo = signer.path / "atcaprov_cert_info_0.c"
    return run(
        "provisioning-client", "--auto", "--certinfo", certinfo, "--port", port, "--device", "emulator:", cwd=folder
    )


def test_a_board_gets_a_certificate(signer: SignerFolder, port: str, tmp_path: Path) -> None:
    done = provision(signer, port, tmp_path)
    assert "Provisioning successful" in done.stdout, done.stdout + done.stderr
    with contextlib.closing(ledger_in(tmp_path / "server")) as ledger:
        assert [entry.kind for entry in ledger.entries(0, 10)] == ["issued", "reported"]


def test_a_key_that_is_gone_costs_no_board(signer: SignerFolder, port: str, tmp_path: Path) -> None:
    (tmp_path / "key.pem").unlink()
    done = provision(signer, port, tmp_path)
    assert done.returncode == 8
    assert "The board is not lost" in done.stdout + done.stderr
