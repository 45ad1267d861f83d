"""Who may not come in, and in which ways: judged by OpenSSL, GnuTLS and Python's own TLS on real sockets."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.keys import raw_public_key
from atcaprov.provisioning.station_identity import StationIdentity, server_authentication
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server.cli import command
from provisioning_server.ledger.administer import administer
from provisioning_server.ledger.administration import StationAdmitted
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.stations.certificates import station_certificate
from provisioning_server.stations.station_ca import StationCa
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.in_memory_signer import MemorySigner
from tests.support.networks import TlsWireClient, admitted_station, stored_station
from tests.support.programs import run_in_process
from tests.support.server import PATIENCE, ServerAddress, running_server, server_program
from tests.support.server_parts import config_zone
from tests.support.signer_folders import make_signer_folder
from tests.support.stations import ExampleStationCa, key_pem, new_key
from tests.support.system_programs import require_program

_Bios = tuple[ssl.MemoryBIO, ssl.MemoryBIO]
NOW = datetime.now(UTC)
SIGNER = MemorySigner()
ASKED = SignerRequest(SIGNER.documents.signer_public_key)


@dataclass
class Attacked:
    """A server with TLS, what it trusts, and one station that it has admitted."""

    address: ServerAddress
    ca: StationCa
    station: StationIdentity
    expired: StationIdentity
    ca_file: Path
    folder: Path

    def openssl(self, *options: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = [require_program("openssl"), "s_client", "-connect", f"127.0.0.1:{self.address.port}"]
        return subprocess.run(
            [*command, "-CAfile", str(self.ca_file), *options],
            input=typed, text=True, errors="replace", capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def said_to(self, context: ssl.SSLContext) -> str:
        """Ask with a TLS context; return "good", the code of the refusal, or the alert that ended the connection."""
        try:
            with TlsWireClient(self.address, context) as wire:
                reply = wire.ask(ASKED)
        except ssl.SSLError as error:
            return str(error.reason).lower()
        assert isinstance(reply, SignerReply | ErrorReply)
        return "good" if isinstance(reply, SignerReply) else reply.code

    def with_chain(self, key: ec.EllipticCurvePrivateKey, *chain: bytes) -> ssl.SSLContext:
        """Return a context that shows certificates (DER) for a key."""
        path = self.folder / "shown.pem"
        pems = (x509.load_der_x509_certificate(each).public_bytes(Encoding.PEM) for each in chain)
        path.write_bytes(key_pem(key) + b"".join(pems))
        context = server_authentication(self.ca.certificate)
        context.load_cert_chain(path)
        return context


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("attacked")
    data = folder / "data"
    station = admitted_station(data, folder / "station")
    ca = StationCa.open(data, NOW)
    key = new_key()
    old = ca.certify_station("line-0", key.public_key(), NOW - timedelta(days=400))
    with contextlib.closing(open_ledger(LedgerPlace(data).ledger, NOW)) as ledger:
        administer(ledger, lambda _: [StationAdmitted(NOW, "line-0", old)])
    expired = stored_station(folder / "expired", ca.certificate, key, old)
    (folder / "ca.pem").write_bytes(x509.load_der_x509_certificate(ca.certificate).public_bytes(Encoding.PEM))
    with running_server(SIGNER, data, tls=True) as address:
        yield Attacked(address, ca, station, expired, folder / "ca.pem", folder)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_connects_as_a_station(attacked: Attacked, version: str) -> None:
    shown = str(attacked.station.folder / "station.pem")
    done = attacked.openssl(version, "-brief", "-verify_return_error", "-x509_strict", "-cert", shown, "-key", shown)
    assert done.returncode == 0, done.stderr
    assert "Verification: OK" in done.stderr


def test_gnutls_connects(attacked: Attacked) -> None:
    port = str(attacked.address.port)
    done = subprocess.run(
        [require_program("gnutls-cli"), "--x509cafile", attacked.ca_file, "-p", port, "localhost"],
        input="", text=True, errors="replace", capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert "The certificate is trusted" in done.stdout
    assert done.returncode == 0


def test_python_connects_and_nothing_else_than_tls_1_2_and_1_3(attacked: Attacked) -> None:
    context = attacked.station.tls_context()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version = context.maximum_version = version
        assert attacked.said_to(context) == "good"


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"),
        ("-tls1", "-cipher", "DEFAULT@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES128-SHA"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"),
        ("-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"),
    ],
)
def test_old_protocols_and_weak_ciphers_are_refused(attacked: Attacked, options: tuple[str, ...]) -> None:
    done = attacked.openssl(*options)
    assert done.returncode == 1
    assert re.search(r"alert (protocol version|handshake failure)", done.stderr)


def test_renegotiation_is_refused(attacked: Attacked) -> None:
    done = attacked.openssl("-tls1_2", typed="R\n")
    assert "RENEGOTIATING" in done.stderr
    assert "no renegotiation" in done.stderr


def test_there_are_no_tickets_and_so_no_early_data(attacked: Attacked) -> None:
    session = attacked.folder / "session.pem"
    first = attacked.openssl("-tls1_3", "-sess_out", str(session), "-msg")
    assert "NewSessionTicket" not in first.stdout
    assert not session.exists()
    second = attacked.openssl("-tls1_2", "-msg")
    assert "NewSessionTicket" not in second.stdout
    assert "Compression: NONE" in second.stdout


@pytest.mark.slow
def test_session_of_tls_1_2_does_not_outlive_a_removal(tmp_path: Path) -> None:
    data = tmp_path / "data"
    context = admitted_station(data, tmp_path / "station").tls_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with running_server(SIGNER, data, tls=True) as address:
        with TlsWireClient(address, context) as wire:
            assert isinstance(wire.ask(ASKED), SignerReply)
            assert isinstance(wire.socket, ssl.SSLSocket)
            session = wire.socket.session
        _remove(data)
        with TlsWireClient(address, context, session=session) as resumed:
            refused = resumed.ask(ASKED)
            assert isinstance(refused, ErrorReply)
            assert refused.code == "station-removed"


def _remove(data: Path) -> None:
    removed = run_in_process(command, "station", "remove", "line-1", "--reason", "stolen", "--data", str(data))
    assert removed.code == 0, removed


def test_connection_without_a_certificate_gets_nothing(attacked: Attacked) -> None:
    assert attacked.said_to(server_authentication(attacked.ca.certificate)) == "station-unknown"


def test_expired_station_is_told_so(attacked: Attacked) -> None:
    assert attacked.said_to(attacked.expired.tls_context()) == "station-expired"


def test_certificate_that_the_ledger_does_not_have_is_unknown(attacked: Attacked) -> None:
    """Whoever stole the station CA's key makes certificates that admit no one."""
    key = new_key()
    forged = attacked.ca.certify_station("line-1", key.public_key(), NOW)
    assert attacked.said_to(attacked.with_chain(key, forged)) == "station-unknown"


def test_certificate_of_another_station_ca_is_refused(attacked: Attacked) -> None:
    key, other = new_key(), ExampleStationCa()
    foreign = other.station_certificate(key.public_key()).public_bytes(Encoding.DER)
    assert "unknown_ca" in attacked.said_to(attacked.with_chain(key, foreign, other.der))


def test_station_ca_of_the_same_name_is_refused(attacked: Attacked) -> None:
    key, other_key = new_key(), new_key()
    ca = x509.load_der_x509_certificate(attacked.ca.certificate)
    forged = station_certificate(ca, other_key, "line-1", key.public_key(), NOW)
    assert attacked.said_to(attacked.with_chain(key, forged)) in (
        "tlsv1_alert_unknown_ca", "tlsv1_alert_decrypt_error", "tlsv1_alert_decryption_failed"
    )  # fmt: skip


def test_certificate_signed_by_itself_is_refused(attacked: Attacked) -> None:
    alone = ExampleStationCa("line-1")
    assert "unknown_ca" in attacked.said_to(attacked.with_chain(alone.key, alone.der))


def test_certificate_of_the_server_admits_no_station(attacked: Attacked) -> None:
    key = new_key()
    server = attacked.ca.certify_server(["localhost"], key.public_key(), NOW)
    assert "unsupported_certificate" in attacked.said_to(attacked.with_chain(key, server))


def test_certificate_of_a_station_makes_no_server(attacked: Attacked) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(attacked.station.folder / "station.pem")
    trusting = server_authentication(attacked.ca.certificate)
    trusting.check_hostname = False
    client, server = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    ends = (trusting.wrap_bio(*client), client, server), (context.wrap_bio(*server, server_side=True), server, client)
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        _shake_hands(ends)


def _shake_hands(ends: tuple[tuple[ssl.SSLObject, _Bios, _Bios], ...]) -> None:
    for end, own, other in ends * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
        other[0].write(own[1].read())


@pytest.mark.slow
def test_certificates_of_a_product_admit_no_one(attacked: Attacked, tmp_path: Path) -> None:
    """A device certificate is for TLS clients, too; it is the root that counts."""
    signer = make_signer_folder(tmp_path)
    for name, chain in (
        ("signer", (signer.certificate, signer.root_certificate)),
        ("root", (signer.root_certificate,)),
    ):
        context = server_authentication(attacked.ca.certificate)
        (tmp_path / "chain.pem").write_bytes(
            b"".join(x509.load_der_x509_certificate(each).public_bytes(Encoding.PEM) for each in chain)
        )
        context.load_cert_chain(tmp_path / "chain.pem", tmp_path / name / "key.pem")
        assert "unknown_ca" in attacked.said_to(context)
    key = new_key()
    with TlsWireClient(attacked.address, attacked.station.tls_context()) as wire:
        public = raw_public_key(key.public_key())
        issued = wire.ask(CertificatesRequest(config_zone(77), public, SIGNER.documents.signer_public_key))
        assert isinstance(issued, CertificatesReply)
    device = attacked.with_chain(key, issued.device_certificate, issued.signer_certificate, issued.root_certificate)
    assert "unknown_ca" in attacked.said_to(device)


def _served_meanwhile(station: StationIdentity, address: ServerAddress, signer: SignerFolder) -> None:
    with TlsWireClient(address, station.tls_context()) as wire:
        assert isinstance(wire.ask(SignerRequest(signer.public_key)), SignerReply)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives this computer all of 127.0.0.0/8")
def test_2000_half_open_connections_shut_no_station_out(tmp_path: Path) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this computer allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    signer = make_signer_folder(tmp_path)
    station = admitted_station(tmp_path / "data", tmp_path / "station")
    options = ("--signer", signer.path, "--data", tmp_path / "data", "--tls")
    hello = bytes.fromhex("1603010200010001fc0303")
    with server_program(*options) as server, contextlib.ExitStack() as stack:
        address = server.address()
        drained = server.drain()
        kept = stack.enter_context(TlsWireClient(address, station.tls_context()))
        assert isinstance(kept.ask(SignerRequest(signer.public_key)), SignerReply)
        for number in range(2000):
            half = stack.enter_context(socket.create_connection(address, PATIENCE, (f"127.0.0.{2 + number % 8}", 0)))
            with contextlib.suppress(OSError):
                half.sendall(hello[: number % len(hello)])
            if number % 400 == 399:
                _served_meanwhile(station, address, signer)
                assert isinstance(kept.ask(SignerRequest(signer.public_key)), SignerReply)
        server.process.terminate()
        drained.join()
    assert not any("Internal error" in line for line in server.lines)
