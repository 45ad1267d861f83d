"""A station enrols, renews, is removed: with the programs as a supervisor and an operator type them."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from atcaprov import AtcaProvError, UsageError
from atcaprov.certs.key_files.private_key import read_private_key
from atcaprov.provisioning import station_identity
from atcaprov.provisioning.station_identity import StationIdentity
from atcaprov.wire.enrolment_token import EnrolmentToken
from atcaprov.wire.messages import CertificatesReply, ErrorReply
from atcaprov.wire.server_place import ServerPlace
from provisioning_client import enrolment
from provisioning_client.cli import command as provisioning_client
from provisioning_client.enrolment import enrol
from provisioning_server.cli import command as provisioning_server
from provisioning_server.stations.certificates import ca_certificate
from provisioning_server.stations.key_and_certificate import KeyAndCertificate
from tests.support.in_memory_signer import MemorySigner
from tests.support.late_files import arrived
from tests.support.networks import TlsWireClient
from tests.support.programs import Ended, run_in_process
from tests.support.server import ServerAddress, running_server
from tests.support.server_parts import request
from tests.support.signer_folders import make_signer_folder

SIGNER = MemorySigner()


@dataclass
class Hall:
    """A data folder, a place for stations, and perhaps a server."""

    data: Path
    folder: Path
    address: ServerAddress | None = None

    def supervisor(self, *words: object) -> Ended:
        return run_in_process(provisioning_server, *map(str, words), "--data", str(self.data))

    def station(self, *words: object, folder: str = "station") -> Ended:
        return run_in_process(provisioning_client, "enrol", *map(str, words), "--station", str(self.folder / folder))

    def token(self, name: str = "line-1", *options: str, command: str = "add") -> Path:
        path = self.folder / f"{name}.token"
        added = self.supervisor("station", command, name, "-o", path, *options)
        assert added.code == 0, added
        return path

    def enrolled(self, name: str = "line-1") -> StationIdentity:
        assert self.station("--token-file", self.token(name), folder=name).code == 0
        return StationIdentity.load(self.folder / name)

    def ask(self, station: StationIdentity, chip: int = 1) -> str:
        """Ask for a certificate; return "good" or the code of the refusal."""
        assert self.address is not None
        with TlsWireClient(self.address, station.tls_context()) as wire:
            reply = wire.ask(request(SIGNER, chip))
        assert isinstance(reply, CertificatesReply | ErrorReply)
        return "good" if isinstance(reply, CertificatesReply) else reply.code

    def states(self) -> dict[str, str]:
        rows = map(json.loads, self.supervisor("station", "list", "--json").out.splitlines())
        return {row["name"]: row["state"] for row in rows}

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        with running_server(SIGNER, self.data, tls=True) as address:
            self.address = address
            yield


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    (tmp_path / "stations").mkdir()
    return Hall(tmp_path / "data", tmp_path / "stations")


@pytest.fixture
def served(hall: Hall) -> Iterator[Hall]:
    with hall.served():
        yield hall


@pytest.mark.slow
def test_station_enrols_and_is_named_in_the_records(served: Hall) -> None:
    token = served.token()
    assert token.stat().st_mode & 0o777 == 0o600
    assert served.states() == {"line-1": "invited"}
    done = served.station("--token-file", token)
    assert done.code == 0, done
    station = StationIdentity.load(served.folder / "station")
    assert station.name == "line-1"
    assert served.ask(station) == "good"
    assert served.states() == {"line-1": "admitted"}
    found = served.supervisor("ledger", "search", "--json")
    assert json.loads(found.out)["station"] == "line-1"


@pytest.mark.slow
def test_enrolled_station_provisions_a_board_and_its_name_stays_with_the_unit(hall: Hall) -> None:
    signer = make_signer_folder(hall.folder)
    with running_server(signer.path, hall.data, tls=True):
        assert hall.station("--token-file", hall.token()).code == 0
        kept = [word for name in ("reports", "checkpoints") for word in (f"--{name}", str(hall.folder / name))]
        certinfo = str(signer.path / "atcaprov_cert_info_0.c")
        words = ("--certinfo", certinfo, "--auto", "--device", "emulator:", "--station", str(hall.folder / "station"))
        done = run_in_process(provisioning_client, *words, *kept)
        assert done.code == 0, done
    (log,) = (hall.data / "logs").glob("signing-*.tsv")
    assert "\tline-1\t" in arrived(log).read_text()
    chip = json.loads(hall.supervisor("ledger", "search", "--json", "--station", "line-1").out)["chip_serial"]
    birth = hall.folder / "birth.json"
    assert hall.supervisor("audit", "proof", "--chip", chip, "-o", birth).code == 0
    entries = [each["entry"] for each in json.loads(birth.read_text())["events"]]
    assert ['"line-1"' in entry for entry in entries] == [True, True], "the certificate and the report of its proof"


@pytest.mark.slow
def test_token_may_come_by_a_descriptor_and_is_printed_as_one_line(served: Hall) -> None:
    printed = served.supervisor("station", "add", "line-1").out
    assert printed.count("\n") == 1
    reading, writing = os.pipe()
    os.write(writing, printed.encode())
    os.close(writing)
    assert served.station("--token-fd", reading).code == 0


@pytest.mark.slow
def test_token_works_once_but_again_for_the_same_key(served: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is lost: first before it came, then while it was written down."""
    token = served.token()

    class CutError(Exception):
        pass

    def cut(*_: object, **__: object) -> None:
        raise CutError

    for module, name in ((enrolment, "_keep"), (enrolment, "write_identity"), (station_identity, "_pem")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, cut)
            with pytest.raises(CutError):
                enrol(EnrolmentToken.parse(token.read_text()), served.folder / "station")
        assert not station_identity.is_enrolled(served.folder / "station")
    other = served.station("--token-file", token, folder="other")
    assert (other.code, "[token-used]" in other.err) == (8, True)
    assert served.station("--token-file", token).code == 0
    assert not (served.folder / "station" / "pending-key.pem").exists()
    assert served.ask(StationIdentity.load(served.folder / "station")) == "good"


@pytest.mark.slow
def test_of_two_computers_that_race_with_one_token_one_is_admitted(served: Hall) -> None:
    token = EnrolmentToken.parse(served.token().read_text())
    together = threading.Barrier(4)

    def computer(number: int) -> str:
        together.wait()
        try:
            return enrol(token, served.folder / str(number)).name
        except AtcaProvError as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        results = sorted(pool.map(computer, range(4)))
    assert results == ["line-1", "token-used", "token-used", "token-used"]


@pytest.mark.slow
def test_token_and_station_outlast_a_restart_of_the_server(hall: Hall) -> None:
    with hall.served():
        used, unused = hall.token(), hall.token("line-2", "--valid", "7d")
        assert hall.station("--token-file", used).code == 0
    with hall.served():
        assert hall.ask(StationIdentity.load(hall.folder / "station")) == "good"
        assert hall.address is not None
        here = f"127.0.0.1:{hall.address.port}"
        assert "[token-used]" in hall.station("--token-file", used, "--server", here, folder="other").err
        assert hall.station("--token-file", unused, "--server", here, folder="two").code == 0


@pytest.mark.slow
def test_commands_work_without_a_running_server(hall: Hall) -> None:
    with hall.served():
        station = hall.enrolled()
        later = hall.token("line-2")
    assert hall.supervisor("station", "remove", "line-1", "--reason", "stolen").code == 0
    assert hall.states() == {"line-1": "removed", "line-2": "invited"}
    with hall.served():
        assert hall.ask(station) == "station-removed"
        assert hall.address is not None
        here = f"127.0.0.1:{hall.address.port}"
        assert hall.station("--token-file", later, "--server", here, folder="two").code == 0


@pytest.mark.slow
def test_removal_acts_on_open_connections_and_the_name_can_be_given_again(served: Hall) -> None:
    station = served.enrolled()
    assert served.address is not None
    with TlsWireClient(served.address, station.tls_context()) as wire:
        assert isinstance(wire.ask(request(SIGNER)), CertificatesReply)
        assert served.supervisor("station", "remove", "line-1", "--reason", "stolen").code == 0
        told = wire.receive()
        assert isinstance(told, ErrorReply)
        assert told.code == "station-removed"
        assert wire.closed_by_server()
    assert served.ask(station) == "station-removed"
    renewal = served.station("--renew", folder="line-1")
    assert "[station-removed]" in renewal.err
    token = served.token()
    assert served.station("--token-file", token, folder="new").code == 0
    assert served.ask(StationIdentity.load(served.folder / "new")) == "good"
    assert served.ask(station) == "station-removed"


@pytest.mark.slow
def test_removal_takes_open_tokens_back(served: Hall) -> None:
    token = served.token()
    assert served.supervisor("station", "remove", "line-1", "--reason", "mistake").code == 0
    done = served.station("--token-file", token)
    assert "[token-unknown]" in done.err


@pytest.mark.slow
def test_station_renews_over_its_own_connection_and_a_lost_answer_costs_nothing(
    served: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = served.enrolled()

    class CutError(Exception):
        pass

    def cut(*_: object, **__: object) -> None:
        raise CutError

    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "_keep", cut)
        with pytest.raises(CutError):
            enrolment.renew(first.folder)
    assert served.ask(first) == "good"
    assert served.station("--renew", folder="line-1").code == 0
    second = StationIdentity.load(first.folder)
    assert second.certificate != first.certificate
    assert served.ask(second, 2) == "good"
    assert len(served.supervisor("station", "list").out.splitlines()) == 1
    by_token = served.token("line-1", command="renew")
    assert served.station("--token-file", by_token, folder="again").code == 0
    assert served.ask(StationIdentity.load(served.folder / "again"), 3) == "good"


@pytest.mark.slow
def test_server_with_another_station_ca_gets_no_secret(hall: Hall, tmp_path: Path) -> None:
    with hall.served():
        token = hall.token()
    other = Hall(tmp_path / "other", hall.folder)
    with other.served():
        assert other.address is not None
        here = f"127.0.0.1:{other.address.port}"
        done = hall.station("--token-file", token, "--server", here)
    assert (done.code, "[station-ca-other]" in done.err) == (2, True)
    assert not (hall.folder / "station" / "station.pem").exists()


@pytest.mark.parametrize("text", ["", "hello", "atcaprov-station-AAAA", "\xff" * 9, "x" * 100_000])
def test_garbled_token_is_refused_before_anything_is_made(hall: Hall, text: str) -> None:
    path = hall.folder / "token"
    path.write_text(text)
    done = hall.station("--token-file", path)
    assert (done.code, "[token-invalid]" in done.err) == (2, True)
    assert not (hall.folder / "station").exists()


@pytest.mark.slow
def test_token_of_another_server_is_unknown(served: Hall) -> None:
    token = EnrolmentToken.parse(served.token().read_text())
    forged = served.folder / "forged"
    forged.write_text(str(EnrolmentToken(token.ca_sha256, bytes(32), token.servers, token.expires, "line-9")))
    assert "[token-unknown]" in served.station("--token-file", forged).err


@pytest.mark.slow
def test_token_is_used_at_the_first_server_that_answers(served: Hall) -> None:
    token = EnrolmentToken.parse(served.token().read_text())
    nobody = ServerPlace("127.0.0.1", 1)
    assert enrol(token, served.folder / "station", (nobody, *token.servers)).name == "line-1"


@pytest.mark.slow
def test_what_a_supervisor_types_wrong_is_refused_with_advice_that_works(served: Hall) -> None:
    served.enrolled()
    twice = served.supervisor("station", "add", "line-1")
    assert "'provisioning-server station renew line-1'" in twice.err
    assert served.supervisor(*shlex.split("station renew line-1")).code == 0
    unknown = served.supervisor("station", "renew", "line-7")
    assert "'provisioning-server station add line-7'" in unknown.err
    assert served.supervisor(*shlex.split("station add line-7")).code == 0
    gone = served.supervisor("station", "remove", "line-8", "--reason", "stolen")
    assert "'provisioning-server station list' shows all." in gone.err
    assert served.supervisor(*shlex.split("station list")).out.count("\n") == 2
    for name in ("-x", "a b", "x" * 65, "ä", ".x"):
        refused = run_in_process(provisioning_server, "--data", str(served.data), "station", "add", "--", name)
        assert "not a name for a station" in refused.err
    long = served.supervisor("station", "add", "line-9", "--valid", "31d")
    assert "Give a shorter time with --valid." in long.err
    assert served.supervisor("station", "add", "line-9", "--valid", "30d").code == 0


def _every_name_is_this_computer(find: Callable[..., Any]) -> Callable[..., Any]:
    return lambda host, *rest, **named: find("127.0.0.1" if host == "line.example" else host, *rest, **named)


@pytest.mark.slow
def test_what_an_operator_types_wrong_is_refused_with_advice_that_works(
    served: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = served.token()
    assert "Give the token with --token-file or --token-fd." in served.station().err
    assert "Check --token-file or --token-fd." in served.station("--token-file", "missing").err
    both = served.station("--token-file", token, "--renew")
    assert both.code == 2
    assert served.address is not None
    monkeypatch.setattr(socket, "getaddrinfo", _every_name_is_this_computer(socket.getaddrinfo))
    named = served.station("--token-file", token, "--server", f"line.example:{served.address.port}")
    assert "Check the clocks, and that the server is started with this name: --tls-name." in named.err
    assert served.station("--token-file", token).code == 0
    again = served.station("--token-file", token)
    assert "Move the folder away, or name another one with --station." in again.err
    other = run_in_process(
        provisioning_client, "enrol", "--token-file", str(served.token("line-2")), "--station", str(served.folder / "b")
    )
    assert other.code == 0
    (served.folder / "station" / "servers.txt").unlink()
    assert "Give one with --server." in served.station("--renew").err
    here = f"127.0.0.1:{served.address.port}"
    assert served.station("--renew", "--server", here).code == 0


@pytest.mark.slow
def test_station_ca_never_has_the_key_of_a_product(hall: Hall) -> None:
    signer = make_signer_folder(hall.folder)
    key = read_private_key((signer.path / "key.pem").read_bytes(), None, "key.pem")
    now = datetime.now(UTC)
    hall.data.mkdir()
    ca = KeyAndCertificate(key, x509.load_der_x509_certificate(ca_certificate(key, now)))
    ca.write(hall.data / "stations" / "station-ca.pem")
    with pytest.raises(UsageError, match="that of a signer"), running_server(signer.path, hall.data, tls=True):
        pass


@pytest.mark.slow
def test_lost_station_ca_is_made_again_only_when_no_station_needs_it(hall: Hall) -> None:
    with hall.served():
        hall.enrolled()
    (hall.data / "stations" / "station-ca.pem").unlink()
    with pytest.raises(UsageError) as caught, hall.served():
        pass
    assert caught.value.code == "station-ca-other"
    assert hall.supervisor("station", "remove", "line-1", "--reason", "the station CA is lost").code == 0
    with hall.served():
        token = hall.token()
        assert hall.station("--token-file", token, folder="again").code == 0
        assert hall.ask(StationIdentity.load(hall.folder / "again")) == "good"


@pytest.mark.slow
def test_name_that_stations_use_is_certified_as_the_advice_says(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _every_name_is_this_computer(socket.getaddrinfo))
    with running_server(SIGNER, hall.data, tls=True, tls_names=("line.example",)):
        token = hall.token()
        assert EnrolmentToken.parse(token.read_text()).servers[0].host == "line.example"
        assert hall.station("--token-file", token).code == 0


@pytest.mark.slow
def test_plain_server_enrols_no_one(hall: Hall) -> None:
    hall.data.mkdir()
    unknown = hall.supervisor("station", "add", "line-1")
    assert "Start it with --tls, or give its address with --server." in unknown.err
    with running_server(SIGNER, hall.data) as address:
        here = f"127.0.0.1:{address.port}"
        token = hall.token("line-1", "--server", here)
        done = hall.station("--token-file", token)
    assert (done.code, "[tls-failed]" in done.err) == (3, True)
    assert "Check that the server is started with --tls." in done.err
    with hall.served():
        assert hall.address is not None
        assert hall.station("--token-file", token, "--server", f"127.0.0.1:{hall.address.port}").code == 0
