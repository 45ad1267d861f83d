"""A server on its ledger: the key of the log at its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import open_hal
from provisioning_server.audit.log_key import KEY_FILE
from provisioning_server.cli import command
from tests.support.programs import run, run_in_process
from tests.support.server import server_program
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow


def test_server_makes_the_key_at_its_first_start_and_takes_no_other(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    data = tmp_path / "data"
    words = ("--signer", signer.path, "--data", data)
    with server_program(*words) as server:
        server.address()
        exported = run_in_process(command, "--data", str(data), "audit", "export", str(tmp_path / "log"))
        assert exported.out.startswith("Entries in ")
    kept = (data / KEY_FILE).read_bytes()
    (data / KEY_FILE).unlink()
    refused = run("provisioning-server", *words, "--port", "0")
    assert refused.returncode == 2
    assert "[log-key-other]" in refused.stderr
    assert "is missing" in refused.stderr
    assert kept.splitlines()[1].decode() not in refused.stderr + refused.stdout
    (data / KEY_FILE).write_bytes(kept)
    with server_program(*words) as server:
        server.address()
        assert (data / KEY_FILE).read_bytes() == kept


def test_server_with_the_key_in_a_chip(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    data = tmp_path / "data"
    chip = f"emulator:{tmp_path / 'chip.json'}?image=tngtls"
    open_hal(chip).close()
    words = ("--signer", signer.path, "--data", data)
    with server_program(*words, "--log-module", chip) as server:
        server.address()
    assert not (data / KEY_FILE).exists()
    refused = run("provisioning-server", *words, "--port", "0")
    assert (refused.returncode, "Name it with --log-module." in refused.stderr) == (2, True)
    wrong = run("provisioning-server", *words, "--port", "0", "--log-module", chip, "--log-slot", "1")
    assert (wrong.returncode, "slot 1 cannot sign" in wrong.stderr) == (2, True)
