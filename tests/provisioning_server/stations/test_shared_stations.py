"""Two servers on one ledger of PostgreSQL share their stations: what one decides, the other does a moment later."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, UsageError
from atcaprov.provisioning.station_identity import StationIdentity
from atcaprov.wire.enrolment_token import EnrolmentToken
from atcaprov.wire.messages import CertificatesReply, ErrorReply
from atcaprov.wire.server_place import ServerPlace
from provisioning_client.enrolment import enrol
from provisioning_server.cli import command
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.parts.station_parts import LOOK_SECONDS
from tests.support.in_memory_signer import MemorySigner
from tests.support.networks import TlsWireClient
from tests.support.postgresql import PostgresqlServer, running_postgresql
from tests.support.programs import run_in_process
from tests.support.server import PATIENCE, ServerAddress, running_server
from tests.support.server_parts import request

pytestmark = pytest.mark.slow
SIGNER = MemorySigner()
SHARED_FILES = ("log-key.pem", "stations/station-ca.pem")


class Pair:
    """Two servers, and the commands of the first one's computer."""

    def __init__(self, folder: Path, url: PostgresqlUrl, addresses: tuple[ServerAddress, ServerAddress]) -> None:
        self.folder = folder
        self.url = url
        self.addresses = addresses

    def supervisor(self, *words: str) -> str:
        done = run_in_process(command, *words, "--data", str(self.folder / "0"), "--ledger", str(self.url))
        assert done.code == 0, done
        return done.out

    def answer(self, number: int, station: StationIdentity) -> str:
        with TlsWireClient(self.addresses[number], station.tls_context()) as wire:
            reply = wire.ask(request(SIGNER))
        assert isinstance(reply, CertificatesReply | ErrorReply)
        return "good" if isinstance(reply, CertificatesReply) else reply.code

    def soon(self, number: int, station: StationIdentity, wanted: str) -> bool:
        """Tell whether a server comes to an answer."""
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.05)):
            if self.answer(number, station) == wanted:
                return True
            pause.wait(0.05)
        return False


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with running_postgresql() as server:
        yield server


@pytest.fixture
def url(postgresql: PostgresqlServer) -> PostgresqlUrl:
    return PostgresqlUrl.parse(postgresql.make_database(f"stations_{secrets.token_hex(4)}"))


@pytest.fixture
def pair(url: PostgresqlUrl, tmp_path: Path) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(running_server(SIGNER, tmp_path / "0", tls=True, ledger=url))
        (tmp_path / "1" / "stations").mkdir(parents=True)
        for name in SHARED_FILES:
            shutil.copy(tmp_path / "0" / name, tmp_path / "1" / name)
        second = stack.enter_context(running_server(SIGNER, tmp_path / "1", tls=True, ledger=url))
        yield Pair(tmp_path, url, (first, second))


def test_token_is_used_once_on_both_servers_and_a_removal_acts_on_both(pair: Pair) -> None:
    assert LOOK_SECONDS <= 1.0
    token = EnrolmentToken.parse(pair.supervisor("station", "add", "line-1"))
    together = threading.Barrier(4)

    def computer(number: int) -> StationIdentity | str:
        place = ServerPlace(*pair.addresses[number % 2])
        together.wait(PATIENCE)
        try:
            return enrol(token, pair.folder / f"station-{number}", [place])
        except AtcaProvError as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(computer, range(4)))
    (station,) = (each for each in results if isinstance(each, StationIdentity))
    assert [each for each in results if isinstance(each, str)] == ["token-used"] * 3
    for number in (0, 1):
        assert pair.soon(number, station, "good")
    with TlsWireClient(pair.addresses[1], station.tls_context()) as wire:
        assert isinstance(wire.ask(request(SIGNER)), CertificatesReply)
        pair.supervisor("station", "remove", "line-1", "--reason", "stolen")
        told = wire.receive()
        assert isinstance(told, ErrorReply)
        assert told.code == "station-removed"
    assert pair.answer(0, station) == pair.answer(1, station) == "station-removed"


def test_server_with_another_station_ca_does_not_start(pair: Pair, url: PostgresqlUrl, tmp_path: Path) -> None:
    token = EnrolmentToken.parse(pair.supervisor("station", "add", "line-2"))
    enrol(token, tmp_path / "two")
    third = tmp_path / "2"
    third.mkdir()
    shutil.copy(tmp_path / "0" / "log-key.pem", third)
    with pytest.raises(UsageError) as caught, running_server(SIGNER, third, tls=True, ledger=url):
        pass
    assert caught.value.code == "station-ca-other"
    assert not (third / "stations").exists()
