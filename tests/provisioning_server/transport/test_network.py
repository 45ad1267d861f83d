"""A real server on real sockets: many clients, bad clients, clients that go away."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Code, TcpClient
from atcaprov.provisioning.server_exchange import ask, ask_patiently
from atcaprov.provisioning.server_tls import secured as really_secured
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.framing import Header
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server.orders.rate_limits import RequestRates
from provisioning_server.orders.rates import Rate
from provisioning_server.transport import listener
from provisioning_server.transport.limits import ConnectionLimits
from tests.support.in_memory_signer import MemorySigner, SigningKey
from tests.support.networks import Network
from tests.support.server import PATIENCE, ServerAddress, WireClient, running_server
from tests.support.server_parts import config_zone, key_of, request
from tests.support.signer_folders import make_signer_folder

CLIENTS = 64
SIGNER = MemorySigner()


@pytest.fixture(params=["plain", "tls"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Return how server and clients meet: what holds for plain connections holds for those with TLS."""
    return Network(tls=request.param == "tls", folder=tmp_path_factory.mktemp("network"))


@pytest.mark.slow
def test_64_clients_at_once(network: Network, tmp_path: Path) -> None:
    each = 5
    together = threading.Barrier(CLIENTS)

    def client(number: int) -> list[object]:
        with network.client(address) as wire:
            assert isinstance(wire.ask(SignerRequest(SIGNER.documents.signer_public_key)), SignerReply)
            together.wait(PATIENCE)
            return [wire.ask(request(SIGNER, number * each + index)) for index in range(1, each + 1)]

    rates = RequestRates(None, None)
    with network.server(SIGNER, tmp_path, rates=rates) as address, ThreadPoolExecutor(CLIENTS) as pool:
        replies = [reply for some in pool.map(client, range(CLIENTS)) for reply in some]
    assert all(isinstance(reply, CertificatesReply) for reply in replies)
    assert (
        len({reply.device_certificate for reply in replies if isinstance(reply, CertificatesReply)}) == CLIENTS * each
    )
    assert len(list((tmp_path / "certs").glob("*_device.pem"))) == CLIENTS * each
    (log,) = (tmp_path / "logs").glob("signing-*.tsv")
    assert len(log.read_bytes().splitlines()) == CLIENTS * each + 1


@pytest.mark.slow
def test_panel_of_64_boards_of_one_station_is_served_by_the_limits_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are connected before the first handshake begins, and have their signer before the first asks."""
    network = Network(tls=True, folder=tmp_path)
    connected, offered = threading.Barrier(CLIENTS), threading.Barrier(CLIENTS)

    def secured(*given: Any) -> ssl.SSLSocket:
        connected.wait(PATIENCE)
        return really_secured(*given)

    def board(number: int) -> CertificatesReply:
        with contextlib.closing(TcpClient(*address, station=tmp_path / "station")) as client:
            ask(client, SignerRequest(SIGNER.documents.signer_public_key), SignerReply)
            offered.wait(PATIENCE)
            return ask_patiently(client, request(SIGNER, number), CertificatesReply)

    monkeypatch.setattr("atcaprov.provisioning.server_connection.secured", secured)
    with network.server(SIGNER, tmp_path / "data") as address, ThreadPoolExecutor(CLIENTS) as pool:
        replies = list(pool.map(board, range(1, CLIENTS + 1)))
    assert len({reply.device_certificate for reply in replies}) == CLIENTS


def test_64_clients_with_the_same_chip_get_the_same_certificate(network: Network, tmp_path: Path) -> None:
    signer = MemorySigner()
    together = threading.Barrier(CLIENTS)

    def client(_: int) -> object:
        with network.client(address) as wire:
            together.wait(PATIENCE)
            return wire.certificates(request(signer))

    rates = RequestRates(None, None)
    with network.server(signer, tmp_path, rates=rates) as address, ThreadPoolExecutor(CLIENTS) as pool:
        replies = list(pool.map(client, range(CLIENTS)))
    assert all(reply == replies[0] for reply in replies)
    assert isinstance(replies[0], CertificatesReply)
    assert signer.signatures == 1


@pytest.mark.parametrize("end", ["close", "reset", "half-close"])
def test_client_that_leaves_mid_message_does_not_disturb_others(network: Network, tmp_path: Path, end: str) -> None:
    with network.server(SIGNER, tmp_path) as address, network.client(address) as good:
        for size in (1, 7, 8, 9, 200):
            bad = network.client(address)
            bad.socket.sendall(bad.connection.send(request(SIGNER))[:size])
            if end == "reset":
                bad.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if end == "half-close":
                socket.socket.shutdown(bad.socket, socket.SHUT_WR)  # below TLS: it says nothing of it
                assert bad.closed_by_server()
            bad.socket.close()
            assert isinstance(good.ask(request(SIGNER, size)), CertificatesReply)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's table of connections")
def test_station_without_power_is_noticed(tmp_path: Path) -> None:
    with running_server(SIGNER, tmp_path) as address, WireClient(address) as wire:
        assert isinstance(wire.ask(SignerRequest(SIGNER.documents.signer_public_key)), SignerReply)
        ends = (address.port, wire.socket.getsockname()[1])
        while (timer := _kernel_timer(*ends)) == "01":  # the reply may not have been acknowledged yet
            continue
        assert timer == "02"  # a keepalive timer, in the words of proc(5)


def _kernel_timer(local_port: int, remote_port: int) -> str:
    """Return the kind of timer that the kernel has on a connection; `00` for none."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = (f":{local_port:04X}", f":{remote_port:04X}")
    (timer,) = [row[5][:2] for row in rows if (row[1][8:], row[2][8:]) == ends]
    return timer


def test_client_that_left_before_its_reply_gets_it_when_it_asks_again(network: Network, tmp_path: Path) -> None:
    signer = MemorySigner()
    with network.server(signer, tmp_path) as address:
        with network.client(address) as gone:
            gone.socket.sendall(gone.connection.send(request(signer)))
        with network.client(address) as back:
            reply = back.ask(request(signer))
    assert isinstance(reply, CertificatesReply)
    assert signer.signatures == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(8),
        b"\xff" * 5000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        Header(1, 2**32 - 1).pack(),
    ],
)
def test_garbage_gets_an_error_and_is_closed(network: Network, tmp_path: Path, garbage: bytes) -> None:
    with network.server(SIGNER, tmp_path) as address:
        with network.client(address) as bad:
            bad.connection.send(request(SIGNER))
            bad.socket.sendall(garbage)
            reply = bad.receive()
            assert isinstance(reply, ErrorReply)
            assert reply.code in (Code.BAD_FRAME, Code.FRAME_TOO_LARGE)
            assert bad.closed_by_server()
        with network.client(address) as good:
            assert isinstance(good.ask(request(SIGNER)), CertificatesReply)


def _keep_busy(wire: WireClient) -> None:
    """Have a reply, so that the server reads this connection, then begin a message and leave it at that."""
    assert isinstance(wire.ask(request(SIGNER)), CertificatesReply)
    wire.socket.sendall(wire.connection.send(request(SIGNER))[:20])


SLOW_MESSAGES = 10.0 * PATIENCE


def test_one_client_too_many_is_refused_with_a_reason(network: Network, tmp_path: Path) -> None:
    limits = ConnectionLimits(connections=2, body_seconds=SLOW_MESSAGES)
    with network.server(SIGNER, tmp_path, limits=limits) as address:
        with network.client(address) as one, network.client(address) as two:
            for wire in (one, two):
                _keep_busy(wire)
            with network.client(address) as three:
                reply = three.receive()
                assert isinstance(reply, ErrorReply)
                assert (reply.code, reply.retryable) == (Code.SERVER_BUSY, True)
                assert three.closed_by_server()
        assert _eventually_served(address, network)


def test_clients_beyond_the_refused_ones_are_cut(tmp_path: Path) -> None:
    with (
        running_server(
            SIGNER,
            tmp_path,
            limits=ConnectionLimits(connections=1, refused=1, linger_seconds=10 * PATIENCE, body_seconds=SLOW_MESSAGES),
        ) as address,
        WireClient(address) as one,
    ):
        _keep_busy(one)
        with WireClient(address) as two, WireClient(address) as three:
            assert isinstance(two.receive(), ErrorReply)
            assert three.closed_by_server()
        one.socket.sendall(Connection(Role.CLIENT).send(request(SIGNER))[20:])
        assert isinstance(one.receive(), CertificatesReply)


def test_full_table_closes_the_longest_idle_connection_which_may_reconnect(network: Network, tmp_path: Path) -> None:
    with network.server(SIGNER, tmp_path, limits=ConnectionLimits(connections=2)) as address:
        with network.client(address) as one, network.client(address) as two, network.client(address) as three:
            assert isinstance(two.ask(request(SIGNER)), CertificatesReply)
            reply = one.receive()
            assert isinstance(reply, ErrorReply)
            assert (reply.code, reply.retryable) == (Code.SERVER_BUSY, True)
            assert "was idle" in reply.message
            assert one.closed_by_server()
            for wire in (three, two):
                assert isinstance(wire.ask(request(SIGNER)), CertificatesReply)
        assert _eventually_served(address, network)


def test_the_client_connects_again_when_it_had_to_give_way(tmp_path: Path) -> None:
    with running_server(SIGNER, tmp_path, limits=ConnectionLimits(connections=1)) as address:
        station = TcpClient(*address)
        asked = SignerRequest(SIGNER.documents.signer_public_key)
        for _ in range(2):
            assert isinstance(ask(station, asked, SignerReply), SignerReply)
            with WireClient(address) as other:
                assert isinstance(other.ask(asked), SignerReply)
        station.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives this computer all of 127.0.0.0/8")
def test_one_computer_cannot_shut_out_the_others(network: Network, tmp_path: Path) -> None:
    """Of 512 connections: what one address holds without end, and 256 stations of another that go on working."""
    signer = make_signer_folder(tmp_path)
    started = network.server_program(signer.path, tmp_path / "data", stations=5)
    with started as server, contextlib.ExitStack() as stack:
        address = server.address()
        drained = server.drain()
        stations = [stack.enter_context(network.client(address)) for _ in range(256)]
        held = [stack.enter_context(socket.create_connection(address, PATIENCE, ("127.0.0.2", 0))) for _ in range(500)]
        for number, station in enumerate(stations, start=1):
            asked = CertificatesRequest(config_zone(number), SigningKey().public_key, signer.public_key)
            assert isinstance(station.ask(asked), CertificatesReply)
        assert held
        with network.client(address) as newcomer:
            assert isinstance(newcomer.ask(SignerRequest(signer.public_key)), SignerReply)
        server.process.terminate()
        drained.join()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of open descriptors")
def test_records_have_enough_descriptors_under_a_low_default(network: Network, tmp_path: Path) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    folder = make_signer_folder(tmp_path)
    few = 64
    with (
        network.server_program(
            *(folder.path, tmp_path / "data"),
            stations=3,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard)),
        ) as server,
        contextlib.ExitStack() as stack,
    ):
        address = server.address()
        drained = server.drain()
        clients = [stack.enter_context(network.client(address)) for _ in range(2 * few)]
        for number, client in enumerate(clients, start=1):
            asked = CertificatesRequest(config_zone(number), key_of(number), folder.public_key)
            assert isinstance(client.ask(asked), CertificatesReply)
        server.process.terminate()
        drained.join()
    assert not any("too many" in line.lower() for line in server.lines)


def test_flood_is_refused_with_the_time_to_wait_before_the_ledger_or_a_signer_sees_it(
    network: Network, tmp_path: Path
) -> None:
    signer = MemorySigner()
    limits = ConnectionLimits(refusal_seconds=0.0)
    rates = RequestRates(None, Rate(3, 3600))
    with network.server(signer, tmp_path, limits=limits, rates=rates) as address, network.client(address) as flood:
        replies = [flood.ask(request(signer, number)) for number in range(1, 51)]
        assert isinstance(flood.ask(SignerRequest(signer.documents.signer_public_key)), SignerReply)
    assert all(isinstance(reply, CertificatesReply) for reply in replies[:2])
    refused = [reply for reply in replies if isinstance(reply, ErrorReply)]
    assert len(refused) >= 47
    assert {(reply.code, reply.retryable) for reply in refused} == {(Code.SERVER_BUSY, True)}
    assert all(0 < reply.retry_after <= 3_600_000 for reply in refused)
    assert signer.signatures == len(replies) - len(refused)


def _eventually_served(address: ServerAddress, network: Network) -> bool:
    """The server notices a moment later that the others have gone."""
    while True:
        with network.client(address) as wire:
            reply = wire.receive_or_ask(request(SIGNER))
            if isinstance(reply, CertificatesReply):
                return True
            assert isinstance(reply, ErrorReply)
            assert reply.code == Code.SERVER_BUSY


@pytest.mark.parametrize("sent", [0, 1, 100])
def test_slow_client_is_closed(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: int) -> None:
    monkeypatch.setattr(listener, "SWEEP_SECONDS", 0.01)
    limits = ConnectionLimits(header_seconds=0.05, body_seconds=0.05, first_message_seconds=0.05)
    with network.server(SIGNER, tmp_path, limits=limits) as address, network.client(address) as slow:
        slow.socket.sendall(slow.connection.send(request(SIGNER))[:sent])
        reply = slow.receive()
        assert isinstance(reply, ErrorReply)
        assert reply.code == Code.SERVER_BUSY
        assert slow.closed_by_server()
