"""The programs over TLS: the server as it is started, the client as a station of its CA."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from atcaprov.provisioning.station_identity import make_station_folder, write_identity
from provisioning_client.cli import command
from provisioning_server.stations.station_ca import StationCa
from tests.support.programs import run_in_process
from tests.support.server import server_program
from tests.support.signer_folders import make_signer_folder
from tests.support.stations import key_pem, new_key

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="uses 127.0.0.2")]


class Line:
    """A signer, the data folder of its server, and a station that the server's CA has certified and does not know."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = make_signer_folder(folder)
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        self.station = folder / "station"
        ca, key = StationCa.open(self.data, datetime.now(UTC)), new_key()
        make_station_folder(self.station)
        certificate = ca.certify_station("line-1", key.public_key(), datetime.now(UTC))
        write_identity(
            self.station, key=key_pem(key), certificate=certificate, ca_certificate=ca.certificate, servers=()
        )

    def error(self, *server_options: str, station: bool = True) -> dict[str, Any]:
        """Start a server; return how a client ends that asks it."""
        options = ("--signer", self.signer.path, "--data", self.data, "--bind", "127.0.0.2", *server_options)
        words = ("--certinfo", self.signer.path / "atcaprov_cert_info_0.c", "--auto", "--json", "--device", "emulator:")
        kept = ("--reports", self.folder / "reports", "--checkpoints", self.folder / "checkpoints")
        as_station = ("--station", self.station) if station else ("--plain-network",)
        with server_program(*options) as server:
            host, port = server.address()
            done = run_in_process(command, *map(str, (*words, *kept, *as_station, "--server", f"{host}:{port}")))
        found: dict[str, Any] = json.loads(done.out.splitlines()[-1])
        return found


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line(tmp_path_factory.mktemp("line"))


def test_server_without_tls_is_started_with_it(line: Line) -> None:
    refused = line.error()
    assert refused["code"] == "tls-failed"
    assert "--tls" in refused["advice"]
    assert line.error("--tls")["code"] == "station-unknown", "TLS is there, and the server answers over it"


def test_server_with_another_name_gets_the_one_that_stations_use(line: Line) -> None:
    refused = line.error("--tls", "--tls-name", "ca1.example")
    assert refused["code"] == "tls-failed"
    assert "--tls-name 127.0.0.2" in refused["advice"]
    assert line.error("--tls", "--tls-name", "127.0.0.2")["code"] == "station-unknown"


def test_client_without_tls_is_told_so(line: Line) -> None:
    assert line.error("--tls", station=False)["code"] == "tls-required"
