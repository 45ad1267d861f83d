from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from types import SimpleNamespace

import pytest

from atcaprov import Board, Code, TcpClient, TransportError, UsageError
from atcaprov.provisioning import server_connection


@contextmanager
def _server(serve: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[int]]]:
    """Serve each connection on loopback by `serve`; give the port and, for each connection, a mark."""
    connections: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(len(connections))
                with connection, suppress(ConnectionError):
                    serve(connection)

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield listener.getsockname()[1], connections
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(100):
        connection.sendall(data)


def _ask(client: TcpClient, data: bytes) -> bytes:
    client.certreq_start()
    client.certreq_send(data)
    reply = client.certreq_recv(len(data))
    client.certreq_done()
    return reply


def test_the_connection_is_kept_from_chip_to_chip() -> None:
    with _server(_echo) as (port, connections):
        client = TcpClient("127.0.0.1", port)
        assert [_ask(client, b"one"), _ask(client, b"two")] == [b"one", b"two"]
        client.close()
        assert len(connections) == 1


def test_connection_that_the_server_closed_is_opened_again() -> None:
    def once(connection: socket.socket) -> None:
        connection.sendall(connection.recv(100))

    with _server(once) as (port, connections):
        client = TcpClient("127.0.0.1", port)
        assert _ask(client, b"one") == b"one"
        while not client._connection.was_closed():
            pass
        assert _ask(client, b"two") == b"two"
        client.close()
        assert len(connections) == 2


def test_an_exchange_that_was_not_finished_ends_its_connection() -> None:
    with _server(_echo) as (port, connections):
        client = TcpClient("127.0.0.1", port)
        client.certreq_start()
        client.certreq_send(b"left over")
        assert _ask(client, b"new") == b"new"
        client.close()
        assert len(connections) == 2


def test_no_server_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError) as refused:
        TcpClient("127.0.0.1", port).certreq_start()
    assert refused.value.code == Code.SERVER_UNREACHABLE
    assert f"127.0.0.1:{port}" in str(refused.value)


def test_a_host_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(TransportError, match="Name or service not known") as refused:
        TcpClient("no.such.host.invalid", 1).connect()
    assert refused.value.code == Code.SERVER_UNREACHABLE


def test_invalid_host_name_is_an_error() -> None:
    with pytest.raises(TransportError) as refused:
        TcpClient("a" * 300, 1).connect()
    assert refused.value.code == Code.SERVER_UNREACHABLE


def test_a_server_that_resets() -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes.fromhex("0100000000000000"))

    with _server(reset) as (port, _):
        client = TcpClient("127.0.0.1", port)
        client.certreq_start()
        client.certreq_send(b"hello")
        with pytest.raises(TransportError) as lost:
            client.certreq_recv(5)
        assert lost.value.code == Code.SERVER_DROPPED
        with pytest.raises(TransportError):
            client.certreq_recv(5)


def test_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atcaprov.provisioning.server_connection.EXCHANGE_SECONDS", 0.05)
    with _server(_echo) as (port, _):
        client = TcpClient("127.0.0.1", port)
        client.certreq_start()
        with pytest.raises(TransportError, match="no answer in time"):
            client.certreq_recv(1)


def test_slow_server_ends_with_the_time_of_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte a second, on a clock of its own: each one comes in time, all of them together do not."""
    seconds = count()
    monkeypatch.setattr(server_connection, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    with _server(_echo) as (port, connections):
        client = TcpClient("127.0.0.1", port)
        client.certreq_start()
        client.certreq_send(bytes(1000))
        received: list[bytes] = []
        with pytest.raises(TransportError, match="no answer in time") as late:
            received.extend(client.certreq_recv(1) for _ in range(1000))
        assert 0 < len(received) <= server_connection.EXCHANGE_SECONDS
        assert (late.value.code, late.value.board) == (Code.SERVER_DROPPED, Board.RETRY)
        assert _ask(client, b"again") == b"again"
        assert len(connections) == 2
        client.close()


def test_exchange_that_is_given_up_is_reset() -> None:
    """Otherwise the system may deliver the rest of its request later, when the chip has another key."""
    ended: list[type[BaseException] | None] = []

    def wait(connection: socket.socket) -> None:
        try:
            while connection.recv(100):
                pass
            ended.append(None)
        except ConnectionError as error:
            ended.append(type(error))

    with _server(wait) as (port, _):
        for finishes in (True, False):
            client = TcpClient("127.0.0.1", port)
            client.certreq_start()
            client.certreq_send(b"request")
            if finishes:
                client.certreq_done()
            client.close()
            while len(ended) < 1 + (not finishes):
                pass
    assert ended == [None, ConnectionResetError]


def test_server_that_is_named_twice_or_malformed_is_refused() -> None:
    for servers in (["ca1.example", "ca1.example:11235"], ["ca1.example:x"], [""]):
        with pytest.raises(UsageError):
            TcpClient(servers=servers)


def test_each_server_has_a_connection_that_is_kept() -> None:
    with _server(_echo) as (one, at_one), _server(_echo) as (other, at_other):
        client = TcpClient(servers=[f"127.0.0.1:{one}", f"127.0.0.1:{other}"])
        for server in (*client.servers, *client.servers):
            client.use_server(server)
            assert client.server == server
            assert _ask(client, server.encode()) == server.encode()
        client.close()
        assert (len(at_one), len(at_other)) == (1, 1)
