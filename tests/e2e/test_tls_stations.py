"""The programs over TLS: the server as it is started, the client as a station of its CA."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Board, CertInfo, Code, Device, Profile, Provisioner, ServerRejected, TcpClient
from atcaprov.provisioning.station_identity import StationIdentity, make_station_folder, write_identity
from provisioning_client.cli import command
from provisioning_server.cli import command as server_command
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


class Enrolled:
    """A server with TLS, and a station that was admitted and enrolled by the commands."""

    def __init__(self, folder: Path, address: tuple[str, int]) -> None:
        self.folder = folder
        self.signer = folder / "signer"
        self.station = folder / "station"
        token, server = str(folder / "line-1.token"), f"{address[0]}:{address[1]}"
        self.administer("station", "add", "line-1", "--server", server, "-o", token)
        done = run_in_process(command, "enrol", "--token-file", token, "--station", str(self.station))
        assert done.code == 0, done

    def administer(self, *words: str) -> None:
        done = run_in_process(server_command, *words, "--data", str(self.folder / "data"))
        assert done.code == 0, done

    def run(self, *words: str) -> list[dict[str, Any]]:
        """Run the client, which takes its servers from the enrolment; return its events."""
        options = ("--certinfo", str(self.signer / "atcaprov_cert_info_0.c"), "--station", str(self.station))
        kept = ("--reports", str(self.folder / "reports"), "--checkpoints", str(self.folder / "checkpoints"))
        done = run_in_process(command, *options, *kept, "--auto", "--json", "--device", "emulator:", *words)
        return [json.loads(line) for line in done.out.splitlines()]


def test_enrolled_station_provisions_until_it_is_removed(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    with server_program("--signer", signer.path, "--data", tmp_path / "data", "--tls") as server:
        line = Enrolled(tmp_path, server.address())
        events = line.run("--count", "3")
        results = [event for event in events if event["event"] == "result"]
        assert [(each["result"], each["station"]) for each in results] == [("pass", "line-1")] * 3
        assert "as station line-1" in str(events)
        recorded = [event for event in events if event["event"] == "report"]
        assert [each["proven"] for each in recorded] == [True] * 3
        line.administer("station", "remove", "line-1", "--reason", "stolen")
        (*_, refused) = line.run()
        assert (refused["event"], refused["code"]) == ("error", "station-removed")
        assert server.stop() == 0
    found = run_in_process(server_command, "ledger", "search", "--data", str(tmp_path / "data"), "--json")
    records = [json.loads(text) for text in found.out.splitlines()]
    assert [(each["station"], each["request"]) for each in records] == [("line-1", each["request"]) for each in results]


def test_removal_reaches_the_open_connection_of_a_running_client(tmp_path: Path) -> None:
    """The board in the fixture is not changed: it is refused before stage 1."""
    signer = make_signer_folder(tmp_path)
    with server_program("--signer", signer.path, "--data", tmp_path / "data", "--tls") as server:
        line = Enrolled(tmp_path, server.address())
        cert_info = CertInfo.parse((line.signer / "atcaprov_cert_info_0.c").read_text())
        places = StationIdentity.load(line.station).servers
        with closing(TcpClient(servers=map(str, places), station=line.station)) as client:
            provisioner = Provisioner(Profile(), cert_info, client)
            with Device.open("emulator:") as device:
                provisioner.provision(device)
            line.administer("station", "remove", "line-1", "--reason", "stolen")
            with Device.open("emulator:") as device, pytest.raises(ServerRejected) as refused:
                provisioner.provision(device)
        assert (refused.value.code, refused.value.board) == (Code.STATION_REMOVED, Board.UNTOUCHED)
