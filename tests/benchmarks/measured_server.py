"""The real Provisioning Server under load from stations in a closed loop, with its processor time counted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.certs.keys import load_public_key, raw_public_key
from atcaprov.chip.memory_map import serial_number
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.framing import HEADER_SIZE, Header
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest
from signer_module.on_files.signer_folder import SignerFolder
from tests.benchmarks.closed_loop import ClosedLoop, processor_seconds
from tests.benchmarks.counted_server import counted_server
from tests.support.server import PATIENCE, ServerAddress
from tests.support.server_parts import config_zone
from tests.support.signer_folders import make_signer_folder


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """What a server did for a number of certificates; times in seconds, `waits` by the clock for each request.

    `files_processor_seconds` is what it took afterwards until the files of the guide were complete.
    """

    certificates: int
    processor_seconds: float
    files_processor_seconds: float
    seconds: float
    waits: Sequence[float]


@dataclass
class MeasuredServer:
    """A server that runs, with one software signer, and the stations that ask it."""

    process: int
    address: ServerAddress
    signer: SignerFolder
    data: Path
    start_seconds: float
    """From the start of its process until its signer was ready."""
    issued: int = 0

    def issue(self, certificates: int, connections: int) -> ServerLoad:
        """Have certificates issued for further chips over a number of connections, and check each."""
        requests = self._requests(certificates)
        load = ClosedLoop(self.address, [_sent(each) for each in requests], connections, is_complete)
        before = self.processor_seconds()
        load.run()
        used = self.processor_seconds() - before
        _check(requests, load.replies, self.signer)
        self.issued += certificates
        self._wait_for_files()
        later = self.processor_seconds() - before - used
        return ServerLoad(certificates, used, later, load.seconds, load.waits)

    def processor_seconds(self) -> float:
        """Return the processor time of its process."""
        return processor_seconds(self.process)

    def resident_mib(self) -> float:
        """Return the memory that its process holds now: VmRSS of proc(5)."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def _requests(self, certificates: int) -> list[CertificatesRequest]:
        keys = [raw_public_key(ec.generate_private_key(ec.SECP256R1()).public_key()) for _ in range(certificates)]
        return [
            CertificatesRequest(config_zone(number), key, self.signer.public_key, request_number=number)
            for number, key in enumerate(keys, self.issued + 1)
        ]

    def _wait_for_files(self) -> None:
        until = time.monotonic() + PATIENCE
        while sum(path.name.endswith("_device.pem") for path in (self.data / "certs").iterdir()) < self.issued:
            assert time.monotonic() < until, "the files of the guide are not complete"
            time.sleep(0.05)


@contextlib.contextmanager
def measured_server(folder: Path, *options: object) -> Iterator[MeasuredServer]:
    """Start a server in a folder, which is made if need be; its `read_steps` can be read when this has ended."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system has no /proc to read processor times from")
    signer = _signer_in(folder / "signers")
    data = folder / "data"
    began = time.monotonic()
    with counted_server(folder, "--signer", signer.path, "--data", data, *options) as server:
        address = server.address()
        server.wait_for("ready.")
        took = time.monotonic() - began
        drain = server.drain()
        yield MeasuredServer(server.process.pid, address, signer, data, took)
        server.process.terminate()
        drain.join(PATIENCE)


def _signer_in(folder: Path) -> SignerFolder:
    if folder.exists():
        return SignerFolder.load(folder / "signer")
    folder.mkdir(parents=True)
    return make_signer_folder(folder)


def is_complete(data: bytes | bytearray) -> bool:
    """Return whether bytes from a server are a whole message."""
    if len(data) < HEADER_SIZE:
        return False
    return len(data) == HEADER_SIZE + Header.parse(bytes(data[:HEADER_SIZE])).body_length


def _sent(request: CertificatesRequest) -> bytes:
    return Connection(Role.CLIENT).send(request)


def _check(requests: Sequence[CertificatesRequest], replies: dict[int, bytes], signer: SignerFolder) -> None:
    """Each certificate is signed by the signer, for the key and the chip of its request."""
    issuer = load_public_key(signer.public_key)
    for number, request in enumerate(requests):
        certificate = x509.load_der_x509_certificate(_read(replies[number]).device_certificate)
        issuer.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert raw_public_key(key) == request.public_key
        assert serial_number(request.config_zone).hex().upper() in certificate.subject.rfc4514_string()


def _read(reply: bytes) -> CertificatesReply:
    header = Header.parse(reply[:HEADER_SIZE])
    assert header.message_type == CertificatesReply.TYPE, reply[HEADER_SIZE:]
    return CertificatesReply.from_body(reply[HEADER_SIZE:])
