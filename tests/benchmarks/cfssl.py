"""The CA server of Debian's golang-cfssl, with the database of certificates that it can keep in SQLite.

The tables are those of its migrations (certdb/sqlite/migrations of cloudflare/cfssl, as of 2016, which is Debian's
version); the journal is SQLite's default one, so that each certificate is on the disk before its reply.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.benchmarks.closed_loop import ClosedLoop, processor_seconds
from tests.support.ports import unused_port
from tests.support.server import ServerAddress
from tests.support.system_programs import require_program

_TABLES = """
CREATE TABLE certificates (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob, status blob NOT NULL,
    reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
    PRIMARY KEY (serial_number, authority_key_identifier)
);
CREATE TABLE ocsp_responses (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, body blob NOT NULL, expiry timestamp,
    PRIMARY KEY (serial_number, authority_key_identifier),
    FOREIGN KEY (serial_number, authority_key_identifier)
        REFERENCES certificates (serial_number, authority_key_identifier)
);
"""
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CONFIG = {"signing": {"default": {"expiry": "8760h", "usages": ["digital signature", "client auth"]}}}


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """What cfssl did: certificates per second of its processor time, and the share of requests that it refused."""

    per_processor_second: float
    errors: float


def measure_cfssl(folder: Path, certificates: int, connections: int) -> PeerFigures:
    """Run cfssl in a new folder and ask it for certificates; skip the test if it is not installed."""
    folder.mkdir()
    requests = [_http_request(_signing_request(number)) for number in range(certificates)]
    with _running(folder) as (process, address):
        load = ClosedLoop(address, requests, connections, _is_complete)
        before = processor_seconds(process.pid)
        load.run()
        used = processor_seconds(process.pid) - before
    issued = sum(_is_certificate(reply) for reply in load.replies.values())
    with contextlib.closing(sqlite3.connect(folder / "certs.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert database.execute("SELECT count(*) FROM certificates").fetchone() == (issued,)
    return PeerFigures(issued / used, 1 - issued / certificates)


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], ServerAddress]]:
    program = require_program("cfssl")
    _make_ca(folder)
    with contextlib.closing(sqlite3.connect(folder / "certs.db")) as database:
        database.executescript(_TABLES)
    (folder / "config.json").write_text(json.dumps(_CONFIG))
    (folder / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(folder / "certs.db")}))
    address = ServerAddress("127.0.0.1", unused_port())
    options = ["-address", address.host, "-port", str(address.port), "-loglevel", "2"]
    files = ["-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "config.json", "-db-config", "db.json"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen([program, "serve", *options, *files], cwd=folder, stdout=quiet, stderr=quiet) as process:
        try:
            _wait_until_it_listens(process, address)
            yield process, address
        finally:
            process.kill()


def _wait_until_it_listens(process: subprocess.Popen[bytes], address: ServerAddress) -> None:
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(address).close()
            return
        time.sleep(0.02)
    raise AssertionError("cfssl has ended")


def _make_ca(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Benchmark CA")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "ca-key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )


def _signing_request(number: int) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"unit-{number}")])
    request = x509.CertificateSigningRequestBuilder(name).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def _http_request(signing_request: str) -> bytes:
    body = json.dumps({"certificate_request": signing_request}).encode()
    head = f"POST /api/v1/cfssl/sign HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _is_complete(reply: bytes | bytearray) -> bool:
    head, separator, body = reply.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not separator:
        return False
    return len(body) == int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def _is_certificate(reply: bytes) -> bool:
    return reply.startswith(b"HTTP/1.1 200 ") and b"BEGIN CERTIFICATE" in reply
