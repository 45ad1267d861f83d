"""The operator is warned before the certificate of the station ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from atcaprov import Code
from provisioning_client import station_end
from provisioning_client.cli import command
from provisioning_client.station_end import WARNED_BEFORE, ends_soon
from provisioning_server.stations.server_tls import server_context
from tests.support.cut_links import links_to
from tests.support.in_memory_signer import MemorySigner
from tests.support.programs import run_in_process
from tests.support.server import running_server
from tests.support.signer_folders import certinfo_of
from tests.support.stations import example_ca

SECOND = timedelta(seconds=1)


def test_warning_begins_30_days_before_the_end(tmp_path: Path) -> None:
    station = example_ca().enrolled(tmp_path / "station")
    begin = station.not_after - WARNED_BEFORE
    assert ends_soon(station.folder, begin - SECOND) is None
    warning = ends_soon(station.folder, begin)
    assert warning is not None
    assert warning.code == Code.STATION_EXPIRED
    assert f"{station.not_after:%Y-%m-%d %H:%M} UTC" in warning.what


@pytest.mark.slow
def test_station_whose_certificate_ends_soon_is_told_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_end, "WARNED_BEFORE", timedelta(days=400))
    signer = MemorySigner()
    (tmp_path / "cert_info.c").write_text(certinfo_of(signer))
    station = example_ca().enrolled(tmp_path / "station").folder
    tls = server_context(example_ca().server_file(tmp_path / "server.pem"), example_ca().der)
    with running_server(signer, tmp_path / "data") as address, links_to(address, tls=tls) as (link,):
        words = ("--certinfo", str(tmp_path / "cert_info.c"), "--server", f"127.0.0.1:{link.place[1]}")
        kept = ("--reports", str(tmp_path / "reports"), "--checkpoints", str(tmp_path / "checkpoints"))
        one = ("--station", str(station), "--auto", "--json", "--device", "emulator:")
        done = run_in_process(command, *words, *kept, *one)
    assert done.code == 0, done
    events = [json.loads(line) for line in done.out.splitlines()]
    warned = [event["code"] for event in events if event["event"] == "warning"]
    assert warned == ["station-expired"]
    assert datetime.now(UTC).year <= int(str(events).split(" ends on ")[1][:4])
