"""How many certificates the server issues for each second of its own processor time.

The server is the real program with a software signer, its records on the disk; 64 connections each send a request
when the last reply has come. Its processor time is what the system counts for its process, so a busy machine and
the clients beside it change the figure little. Every certificate is checked afterwards.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.certs.keys import load_public_key, raw_public_key
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest
from signer_module.on_files.signer_folder import SignerFolder
from tests.benchmarks.report import Figure, report
from tests.support.server import PATIENCE, ServerAddress, WireClient, server_program
from tests.support.server_parts import chip_serial, config_zone
from tests.support.signer_folders import make_signer_folder

CONNECTIONS = 64
CERTIFICATES = 6400


def _processor_seconds(pid: int) -> float:
    """User and system time of a process with all its threads: fields 14 and 15 of /proc/<pid>/stat (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Load:
    """Keeps one request open on each connection until all chips have their certificates."""

    address: ServerAddress
    requests: list[CertificatesRequest]
    replies: dict[int, CertificatesReply] = field(default_factory=dict)

    def run(self) -> None:
        waiting = iter(range(len(self.requests)))
        open_requests: dict[int, int] = {}
        clients = [WireClient(self.address) for _ in range(CONNECTIONS)]
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.socket, selectors.EVENT_READ, client)
                self._send_next(client, waiting, open_requests)
            while open_requests:
                events = selector.select(PATIENCE)
                assert events, "the server is silent"
                for key, _ in events:
                    self._take(key.data, waiting, open_requests)
        for client in clients:
            client.socket.close()

    def _send_next(self, client: WireClient, waiting: Iterator[int], open_requests: dict[int, int]) -> None:
        number = next(waiting, None)
        if number is not None:
            open_requests[client.socket.fileno()] = number
            client.socket.sendall(client.connection.send(self.requests[number]))

    def _take(self, client: WireClient, waiting: Iterator[int], open_requests: dict[int, int]) -> None:
        client.connection.receive_data(client.socket.recv(65536))
        reply = client.connection.next_event()
        if reply is not None:
            assert isinstance(reply, CertificatesReply), reply
            self.replies[open_requests.pop(client.socket.fileno())] = reply
            self._send_next(client, waiting, open_requests)


def _requests(signer: SignerFolder) -> list[CertificatesRequest]:
    keys = [raw_public_key(ec.generate_private_key(ec.SECP256R1()).public_key()) for _ in range(CERTIFICATES)]
    return [
        CertificatesRequest(config_zone(number + 1), keys[number], signer.public_key) for number in range(CERTIFICATES)
    ]


def _check(load: Load, signer: SignerFolder) -> None:
    """Each certificate is signed by the signer, for the key and the chip of its request."""
    issuer = load_public_key(signer.public_key)
    for number, request in enumerate(load.requests):
        certificate = x509.load_der_x509_certificate(load.replies[number].device_certificate)
        issuer.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert raw_public_key(key) == request.public_key
        assert chip_serial(number + 1).hex().upper() in certificate.subject.rfc4514_string()


def test_certificates_per_processor_second(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system has no /proc to read processor times from")
    (tmp_path / "signers").mkdir()
    signer = make_signer_folder(tmp_path / "signers")
    with server_program("--signer", signer.path, "--data", tmp_path / "data") as server:
        load = Load(server.address(), _requests(signer))
        server.wait_for("ready.")
        drain = server.drain()
        started, before = time.monotonic(), _processor_seconds(server.process.pid)
        load.run()
        used = _processor_seconds(server.process.pid) - before
        took = time.monotonic() - started
        server.process.terminate()
        drain.join(PATIENCE)
    _check(load, signer)
    note = (
        f"{CERTIFICATES} certificates, {CONNECTIONS} connections, software signer, records durable, each certificate "
        f"proved before it went out; {CERTIFICATES / took:,.0f}/s by the clock with the clients on the same machine"
    )
    report(Figure("server.certs_per_cpu_s.c64", round(CERTIFICATES / used, 1), "certs/CPU-s", note))
