"""A client over TLS, as a station: whom it trusts, what it says of refusals, and that it never falls back to plain."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from atcaprov import CertInfo, Code, Device, Profile, Provisioner, TcpClient, TransportError, UsageError
from atcaprov.hal.registry import open_hal
from provisioning_server.stations.server_tls import server_context
from tests.support.cut_links import links_to
from tests.support.in_memory_signer import MemorySigner
from tests.support.server import running_server
from tests.support.signer_folders import certinfo_of
from tests.support.stations import ExampleStationCa, example_ca

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def station(tmp_path: Path) -> Path:
    return example_ca().enrolled(tmp_path / "station").folder


def server_side(
    folder: Path, ca: ExampleStationCa | None = None, names: tuple[str, ...] = ("127.0.0.1",)
) -> ssl.SSLContext:
    """Return the context of a server that a CA has certified for names; it trusts the stations of the example CA."""
    path = (ca or example_ca()).server_file(folder / "server.pem", names)
    return server_context(path, example_ca().der)


@contextlib.contextmanager
def speaking(tls: ssl.SSLContext | None, answer: bytes = b"") -> Iterator[tuple[int, list[bytes]]]:
    """Serve on loopback; give the port, and what each connection has sent in plain, or over TLS."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def loop() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with plain, contextlib.suppress(OSError):
                    connection = plain if tls is None else tls.wrap_socket(plain, server_side=True)
                    with connection:
                        received.append(connection.recv(4096))
                        connection.sendall(answer)

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield listener.getsockname()[1], received
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def refused(port: int, station: Path, host: str = "127.0.0.1") -> TransportError:
    with closing(TcpClient(host, port, station=station)) as client, pytest.raises(TransportError) as error:
        client.certreq_start()
    return error.value


@pytest.mark.slow
def test_boards_share_one_handshake(tmp_path: Path, station: Path) -> None:
    signer = MemorySigner()
    with running_server(signer, tmp_path / "data") as address, links_to(address, tls=server_side(tmp_path)) as (link,):
        with closing(TcpClient(*link.place, station=station)) as client:
            assert client.station == "line-1"
            provisioner = Provisioner(Profile(), CertInfo.parse(certinfo_of(signer)), client)
            for _ in range(3):
                with Device(open_hal("emulator:")) as device:
                    provisioner.provision(device)
        assert link.handshakes == 1
    assert signer.signatures == 3


def test_server_of_another_station_ca_is_refused(tmp_path: Path, station: Path) -> None:
    with speaking(server_side(tmp_path, ExampleStationCa())) as (port, received):
        error = refused(port, station)
    assert (error.code, received) == (Code.TLS_FAILED, [])
    assert "does not belong to the station CA" in error.what
    assert str(station) in error.advice


def test_server_of_another_name_is_refused_with_the_option_that_helps(tmp_path: Path, station: Path) -> None:
    with speaking(server_side(tmp_path, names=("ca1.example",))) as (port, received):
        error = refused(port, station)
    assert (error.code, received) == (Code.TLS_FAILED, [])
    assert "another name" in error.what
    assert "--tls-name 127.0.0.1" in error.advice


def test_certificate_of_a_station_is_none_of_a_server(tmp_path: Path, station: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(station / "station.pem")
    with speaking(context) as (port, received):
        error = refused(port, station)
    assert (error.code, received) == (Code.TLS_FAILED, [])


@pytest.mark.parametrize("begins", [NOW - 3 * DAY, NOW + DAY])
def test_certificate_that_is_not_valid_now_is_told_with_the_clock(
    tmp_path: Path, station: Path, begins: datetime
) -> None:
    path = example_ca().server_file(tmp_path / "server.pem", ["127.0.0.1"], begins, begins + DAY)
    with speaking(server_context(path, example_ca().der)) as (port, received):
        error = refused(port, station)
    assert (error.code, received) == (Code.TLS_FAILED, [])
    assert "By this computer's clock" in error.what


@pytest.mark.parametrize("answer", [b"AP\x01\xff\x00\x00\x00\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(64)])
def test_server_without_tls_gets_nothing_in_plain(station: Path, answer: bytes) -> None:
    with speaking(None, answer) as (port, received):
        error = refused(port, station)
    assert error.code == Code.TLS_FAILED
    assert "Nothing was sent without TLS" in error.advice
    assert all(each.startswith(b"\x16\x03") for each in received), "a TLS handshake and nothing else"
    assert len(received) == 1, "no second try"


def test_connection_that_ends_in_the_handshake_is_a_server_that_is_away(station: Path) -> None:
    with speaking(None) as (port, received):
        assert refused(port, station).code == Code.SERVER_UNREACHABLE
    assert len(received) == 1


def test_silent_server_is_given_up(station: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atcaprov.provisioning.server_connection.CONNECT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = refused(listener.getsockname()[1], station)
    assert error.code == Code.SERVER_UNREACHABLE


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(tmp_path: Path, station: Path) -> None:
    context = server_side(tmp_path)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with speaking(context) as (port, received):
        assert refused(port, station).code == Code.TLS_FAILED
    assert received == []


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no modes")
def test_key_that_others_can_read_is_not_used(tmp_path: Path, station: Path) -> None:
    (station / "station.pem").chmod(0o640)
    with pytest.raises(UsageError) as error:
        TcpClient("127.0.0.1", 1, station=station)
    assert error.value.code == Code.KEY_EXPOSED


def test_renewed_certificate_is_used_at_the_next_connection(tmp_path: Path, station: Path) -> None:
    shown: list[bytes] = []
    with speaking(server_side(tmp_path)) as (port, _), closing(TcpClient("127.0.0.1", port, station=station)) as client:
        client.connect()
        shown.append((station / "station.pem").read_bytes())
        example_ca().enrolled(station, "line-2")
        client.connect()
        assert shown != [(station / "station.pem").read_bytes()]


def test_computer_without_enrolment_is_told_to_enrol(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        TcpClient("127.0.0.1", 1, station=tmp_path)
    assert error.value.code == Code.STATION_NOT_ENROLLED
