"""The real Provisioning Server under load from stations in a closed loop, with its processor time counted."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from atcaprov.certs.keys import load_public_key, raw_public_key, raw_signature
from atcaprov.certs.possession_proof import possession_digest
from atcaprov.chip.memory_map import serial_number
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.fields import ReportedStage
from atcaprov.wire.framing import HEADER_SIZE, Header
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ReportReply, ReportRequest
from signer_module.on_files.signer_folder import SignerFolder
from tests.benchmarks.closed_loop import ClosedLoop, processor_seconds
from tests.benchmarks.counted_server import counted_server
from tests.support.networks import admitted_station
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
    tls: ssl.SSLContext | None = None
    """That of a station which the server admits, if it takes TLS connections only."""

    def issue(self, certificates: int, connections: int, *, proven: bool = False) -> ServerLoad:
        """Have certificates issued for further chips over a number of connections, and check each.

        With `proven` each station then reports that its board is good, with a proof of its key.
        """
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(certificates)]
        requests = self._requests(keys)
        reports = _Reports(keys, requests).report if proven else None
        sent = [_sent(each) for each in requests]
        load = ClosedLoop(self.address, sent, connections, is_complete, reports, self.tls)
        before = 0.0

        def connected() -> None:
            nonlocal before
            before = self.processor_seconds()

        load.connected = connected
        load.run()
        used = self.processor_seconds() - before
        _check(requests, load.replies, self.signer)
        assert len(load.later_replies) == (certificates if proven else 0)
        assert all(_read(reply, ReportReply).proven for reply in load.later_replies.values())
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

    def _requests(self, keys: Sequence[ec.EllipticCurvePrivateKey]) -> list[CertificatesRequest]:
        public_keys = [raw_public_key(key.public_key()) for key in keys]
        return [
            CertificatesRequest(config_zone(number), key, self.signer.public_key, request_number=number)
            for number, key in enumerate(public_keys, self.issued + 1)
        ]

    def _wait_for_files(self) -> None:
        until = time.monotonic() + PATIENCE
        while sum(path.name.endswith("_device.pem") for path in (self.data / "certs").iterdir()) < self.issued:
            assert time.monotonic() < until, "the files of the guide are not complete"
            time.sleep(0.05)


@contextlib.contextmanager
def measured_server(folder: Path, *options: object, tls: bool = False) -> Iterator[MeasuredServer]:
    """Start a server in a folder, which is made if need be; its `read_steps` can be read when this has ended.

    With `tls` it takes TLS connections of a station only, which it has admitted.
    """
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system has no /proc to read processor times from")
    signer = _signer_in(folder / "signers")
    data = folder / "data"
    station = admitted_station(data, folder / "station").tls_context() if tls else None
    if tls:
        options = (*options, "--tls")
    began = time.monotonic()
    without_limits = ("--rate", "none", "--server-rate", "none")
    with counted_server(folder, "--signer", signer.path, "--data", data, *without_limits, *options) as server:
        address = server.address()
        server.wait_for("ready.")
        took = time.monotonic() - began
        drain = server.drain()
        yield MeasuredServer(server.process.pid, address, signer, data, took, tls=station)
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
        certificate = x509.load_der_x509_certificate(_read(replies[number], CertificatesReply).device_certificate)
        issuer.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert raw_public_key(key) == request.public_key
        assert serial_number(request.config_zone).hex().upper() in certificate.subject.rfc4514_string()


_CONTENTS = hashlib.sha256(b"what was read back from the chip").digest()
_Read = TypeVar("_Read", CertificatesReply, ReportReply)


def _read(reply: bytes, kind: type[_Read]) -> _Read:
    header = Header.parse(reply[:HEADER_SIZE])
    assert header.message_type == kind.TYPE, reply[HEADER_SIZE:]
    return kind.from_body(reply[HEADER_SIZE:])


@dataclass
class _Reports:
    """What stations report of boards that are good, each with a proof by its chip's key."""

    keys: Sequence[ec.EllipticCurvePrivateKey]
    requests: Sequence[CertificatesRequest]

    def report(self, number: int, reply: bytes) -> bytes:
        """Return the report on what a reply brought."""
        certificates = _read(reply, CertificatesReply)
        certificate = hashlib.sha256(certificates.device_certificate).digest()
        digest = possession_digest(certificates.challenge, certificate, _CONTENTS)
        report = ReportRequest(
            chip_serial=serial_number(self.requests[number].config_zone),
            certificate_sha256=certificate,
            challenge=certificates.challenge,
            fate="good",
            stages=tuple(ReportedStage(stage, "done", 100) for stage in range(1, 11)),
            finished=int(time.time()),
            signature=raw_signature(self.keys[number].sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))),
            contents_sha256=_CONTENTS,
            request_number=number + 1,
        )
        return Connection(Role.CLIENT).send(report)
