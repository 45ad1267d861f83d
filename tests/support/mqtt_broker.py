"""The MQTT broker mosquitto, which lets only clients with a certificate in, and a client that says CONNECT."""

from __future__ import annotations

import getpass
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.ports import unused_port
from tests.support.server import PATIENCE
from tests.support.system_programs import require_program

_CONNECT: Final = bytes.fromhex("100d 0004 4d515454 04 02 003c 0001 61")
"""MQTT 3.1.1, 3.1: protocol name and level, clean session, keep alive 60 s, client id "a"."""
_CONNACK: Final = bytes.fromhex("20020000")
"""MQTT 3.1.1, 3.2: connection accepted."""


@contextmanager
def broker(folder: Path, *, root: Path, crl: Path) -> Iterator[int]:
    """Run a broker that trusts a root and reads a CRL (both PEM); yield its port."""
    port, program = unused_port(), require_program("mosquitto")
    certificate, key = _server_files(folder)
    config = folder / "mosquitto.conf"
    lines = [f"user {getpass.getuser()}", "log_dest stderr", "allow_anonymous true", f"listener {port} 127.0.0.1"]
    lines += [f"cafile {root}", f"certfile {certificate}", f"keyfile {key}", f"crlfile {crl}"]
    config.write_text("\n".join([*lines, "require_certificate true", ""]))
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next((line for line in process.stderr if " running" in line or "Error" in line), "it ended")
            assert " running" in said, said
            yield port
        finally:
            process.kill()


def connects(port: int, certificates: Path, key: Path) -> bool:
    """Return whether the broker lets a client with certificates and a key (PEM) in.

    Why not is in its alert, which is lost when the connection ends before the client has read it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificates, key)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        try:
            with context.wrap_socket(plain) as secure:
                secure.sendall(_CONNECT)
                return secure.recv(4) == _CONNACK
        except (ssl.SSLError, ConnectionError):
            return False


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def _server_files(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    begin = datetime.now(UTC) - timedelta(hours=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=1))
    certificate = folder / "broker.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return certificate, write_key(folder / "broker.key", key)
