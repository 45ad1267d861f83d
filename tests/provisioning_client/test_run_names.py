"""Label and request id of a run: from the command line to the server's records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning_client.cli import command
from provisioning_server.cli import command as server_command
from tests.support.in_memory_signer import MemorySigner
from tests.support.programs import Ended, run_in_process
from tests.support.server import running_server
from tests.support.signer_folders import certinfo_of

pytestmark = pytest.mark.slow


def run(folder: Path, server: str, *words: str) -> Ended:
    station = ("--certinfo", str(folder / "cert_info.c"), "--server", server, "--reports", str(folder / "reports"))
    kept = ("--checkpoints", str(folder / "checkpoints"))
    return run_in_process(command, *station, *kept, "--auto", "--json", "--device", "emulator:", *words)


def test_names_of_a_run_reach_the_records_with_its_id(tmp_path: Path) -> None:
    signer = MemorySigner()
    (tmp_path / "cert_info.c").write_text(certinfo_of(signer))
    with running_server(signer, tmp_path / "data") as address:
        server = f"{address.host}:{address.port}"
        done = run(tmp_path, server, "--label", "A 1")
        assert done.code == 0, done.out
        events = [json.loads(line) for line in done.out.splitlines()]
        (result,) = (event for event in events if event["event"] == "result")
        assert (result["server"], result["station"]) == (server, "")
        assert {each["request"] for each in events if "request" in each} == {result["request"]}
        assert len(bytes.fromhex(result["request"])) == 16
    found = run_in_process(server_command, "ledger", "search", "--data", str(tmp_path / "data"), "--json")
    (record,) = (json.loads(line) for line in found.out.splitlines())
    assert (record["label"], record["request"]) == ("A 1", result["request"])


def test_label_is_for_one_board(tmp_path: Path) -> None:
    signer = MemorySigner()
    (tmp_path / "cert_info.c").write_text(certinfo_of(signer))
    with running_server(signer, tmp_path / "data") as address:
        server = f"{address.host}:{address.port}"
        refused = run(tmp_path, server, "--label", "A 1", "--count", "2")
        assert (refused.code, signer.signatures) == (2, 0)
        assert "--count 1" in refused.err
        assert run(tmp_path, server, "--label", "A 1", "--count", "1").code == 0
