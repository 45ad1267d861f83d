"""`provisioning-server status`, with and without a server."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov.web.address import WebAddress
from provisioning_server.cli import command
from provisioning_server.control import server
from provisioning_server.control.control_file import ControlFile
from provisioning_server.ledger.administration import OrderOpened, StationAdmitted
from provisioning_server.ledger.changes import Changes
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.ledgers import ledger_in
from tests.support.programs import Ended, run_in_process
from tests.support.server import WireClient, running_server

pytestmark = pytest.mark.slow


def status(data: Path, *options: str) -> Ended:
    return run_in_process(command, "status", "--data", str(data), *options)


def test_running_server_tells_how_it_is(tmp_path: Path) -> None:
    signer = MemorySigner()
    with running_server(signer, tmp_path, web=WebAddress("127.0.0.1", 0)) as address, WireClient(address) as client:
        told = status(tmp_path, "--json")
        found = json.loads(told.out)
        text = status(tmp_path)
        peer = client.socket.getsockname()
    assert (told.code, text.code) == (0, 0), text.err
    assert (found["running"], found["health"], found["code"]) == (True, "ok", "")
    assert found["addresses"] == [f"127.0.0.1:{address.port}"]
    assert found["web"].startswith("http://127.0.0.1:")
    assert [(each["serial"], each["state"]) for each in found["signers"]] == [(signer.serial.hex().upper(), "ready")]
    assert found["clients"] == [f"{peer[0]}:{peer[1]}"]
    assert len(found["ledger"]["root"]) == 64
    assert found["ledger"]["open_intents"] == 0
    assert "1 client connected." in text.out
    assert (found["stations"], found["orders"], found["warnings"]) == ([], [], [])
    assert f"Signer ({signer.serial.hex().upper()}" in text.out


def test_stations_orders_and_warnings_are_shown(tmp_path: Path) -> None:
    ends, signer = datetime(2099, 1, 1, tzinfo=UTC), MemorySigner()
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        admitted = StationAdmitted(NOW, "line-3", signer.documents.root_certificate)
        orders = [OrderOpened(NOW, "4711", "lamp", 100, ends=ends), OrderOpened(NOW, "4712")]
        ledger.commit(Changes(events=[admitted, *orders]))
    (tmp_path / "logs").mkdir(exist_ok=True)
    (tmp_path / "logs").chmod(0o777)
    with running_server(signer, tmp_path):
        found, text = json.loads(status(tmp_path, "--json").out), status(tmp_path).out
    assert found["stations"] == [{"name": "line-3", "connected": False}]
    assert found["orders"] == [
        {"name": "4711", "product": "lamp", "issued": 0, "left": 100, "ends": "2099-01-01T00:00:00Z"},
        {"name": "4712", "product": "", "issued": 0, "left": None, "ends": None},
    ]
    assert "Stations: line-3 (away)." in text
    assert "Order 4711: 0 issued, 100 left, until 2099-01-01T00:00:00Z." in text
    if os.name == "posix":
        assert f"Warning: Every user of this computer may change files in {tmp_path / 'logs'}." in text


def test_server_that_issues_nothing_has_another_exit_code(tmp_path: Path) -> None:
    with running_server(MemorySigner(password=b"a password"), tmp_path, web=WebAddress("127.0.0.1", 0)):
        told = status(tmp_path)
    assert told.code == 11
    assert "Health: failing, signer-not-ready." in told.out
    assert "waits-for-password" in told.out


def test_without_server_the_ledger_is_shown(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path):
        pass
    told = status(tmp_path)
    assert told.code == 12
    assert f"No server runs with the data folder {tmp_path}." in told.out
    assert "Ledger: " in told.out
    assert json.loads(status(tmp_path, "--json").out)["running"] is False
    assert not ControlFile(tmp_path).path.exists()


def test_other_folder_is_named_as_the_advice_says(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with running_server(MemorySigner(), tmp_path / "data"):
        assert "Start it, or name the data folder of the running one with --data." in status(other).out
        assert "running since" in status(tmp_path / "data").out


def test_command_without_answer_names_the_command_that_tells_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(server, "CONNECTIONS_MAX", 0)
            told = status(tmp_path)
        assert (told.code, "Error [server-dropped]" in told.err) == (3, True)
        assert "See with 'provisioning-server status' whether it runs" in " ".join(told.err.split())
        assert status(tmp_path).code == 0


def test_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    told = status(tmp_path / "none")
    assert told.code == 2
    assert "There is no data folder" in told.err


def test_folder_without_ledger_says_so(tmp_path: Path) -> None:
    told = status(tmp_path)
    assert told.code == 12
    assert "Ledger: " in told.out
