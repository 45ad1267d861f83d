"""What would stop a batch is told before its first board: the quota, and the disks of both sides."""

from __future__ import annotations

import json
import time
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from provisioning_client.cli import command
from tests.support.in_memory_signer import MemorySigner
from tests.support.programs import Ended, run_in_process
from tests.support.server import ServerAddress, running_server
from tests.support.signer_folders import certinfo_of

pytestmark = pytest.mark.slow


def run_batch(signer: MemorySigner, folder: Path, address: ServerAddress, *words: str) -> Ended:
    certinfo = folder / "atcaprov_cert_info_0.c"
    certinfo.write_text(certinfo_of(signer))
    station = ("--certinfo", str(certinfo), "--host", address.host, "--port", str(address.port))
    return run_in_process(command, *station, "--auto", "--json", "--device", "emulator:", *words)


def test_quota_is_compared_with_the_count(tmp_path: Path) -> None:
    signer = MemorySigner()
    signer.remaining = 2
    with running_server(signer, tmp_path / "data") as address:
        refused = run_batch(signer, tmp_path, address, "--count", "3")
        assert refused.code == 6
        assert json.loads(refused.out.splitlines()[-1])["code"] == "quota-too-small"
        assert "board" not in {json.loads(line)["event"] for line in refused.out.splitlines()}
        assert signer.signatures == 0
        assert run_batch(signer, tmp_path, address, "--count", "2").code == 0
    assert signer.signatures == 2


@pytest.mark.parametrize("minutes", [-10, 25 * 60])
def test_clocks_are_compared_before_a_board_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """The station's clock is behind the server's, or a day ahead of it."""

    class StationClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> StationClock:
            return cls.fromtimestamp(time.time() + 60 * minutes, tz)

    signer = MemorySigner()
    with running_server(signer, tmp_path / "data") as address:
        with monkeypatch.context() as station:
            station.setattr("atcaprov.provisioning.clock_check.datetime", StationClock)
            refused = run_batch(signer, tmp_path, address)
        assert refused.code == 7
        events = [json.loads(line) for line in refused.out.splitlines()]
        assert events[-1]["code"] == "clock-wrong"
        assert not any("Waiting for board" in event.get("text", "") for event in events)
        assert signer.signatures == 0
        good = run_batch(signer, tmp_path, address)
        assert good.code == 0
        assert "Waiting for board" in good.out


def test_full_disk_of_the_server_stops_the_batch_before_a_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = MemorySigner()
    with running_server(signer, tmp_path / "data") as address:
        with monkeypatch.context() as disk:
            disk.setattr("atcaprov.durable_files.free_bytes", lambda place: 1 << 20)
            refused = run_batch(signer, tmp_path, address)
        assert refused.code == 8
        event = json.loads(refused.out.splitlines()[-1])
        assert (event["event"], event["code"]) == ("error", "disk-full")
        assert run_batch(signer, tmp_path, address).code == 0  # there is room again; no restart was needed
