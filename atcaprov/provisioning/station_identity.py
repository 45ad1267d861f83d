"""Who a station is: its key and certificate, and the station CA that it trusts, in a folder of its own.

    station.pem       private key (PKCS#8) and certificate, PEM, for its owner's eyes only; replaced as one
    station-ca.pem    certificate of the station CA, PEM
    servers.txt       HOST:PORT of the servers that the enrolment named, one in each line
    pending-key.pem   key of an enrolment or renewal that is not finished

A station is enrolled as soon as station.pem is there; it is written last. The private key never leaves the folder.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Final, Self

import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from atcaprov import durable_files
from atcaprov.bounded_reading import is_file, read_bytes, read_text
from atcaprov.certs.certificate_files import UNREADABLE, read_certificate
from atcaprov.errors import Code, UsageError
from atcaprov.web.tls import trust
from atcaprov.wire.server_place import ServerPlace

STATION_FILE: Final = "station.pem"
CA_FILE: Final = "station-ca.pem"
SERVERS_FILE: Final = "servers.txt"
PENDING_KEY_FILE: Final = "pending-key.pem"
PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644
_FOLDER: Final = 0o700


def default_station_folder() -> Path:
    """Return the folder of the user for the identity of this computer as a station."""
    return platformdirs.user_data_path("atcaprov") / "station"


@dataclass(frozen=True, slots=True)
class StationIdentity:
    """An enrolled station. The private key stays in its file, which the TLS context reads."""

    folder: Path
    name: str
    certificate: bytes
    """DER."""
    ca_certificate: bytes
    """DER."""
    not_before: datetime
    not_after: datetime
    servers: tuple[ServerPlace, ...]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the folder of a station.

        Raises:
            UsageError: STATION_NOT_ENROLLED if there is none; FILE_INVALID, FILE_UNREADABLE, KEY_EXPOSED.
        """
        if not is_enrolled(folder):
            raise UsageError(
                f"This computer is not enrolled as a station: there is no {folder / STATION_FILE}.",
                advice="Ask the supervisor for an enrolment token, and run 'provisioning-client enrol'.",
                code=Code.STATION_NOT_ENROLLED,
            )
        _require_private(folder / STATION_FILE)
        certificate = _station_certificate(folder / STATION_FILE)
        return cls(
            folder,
            station_name(certificate),
            certificate.public_bytes(Encoding.DER),
            read_certificate(folder / CA_FILE),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            read_servers(folder),
        )

    def tls_context(self) -> ssl.SSLContext:
        """Return the client's side of TLS with this identity; raises UsageError FILE_INVALID or FILE_UNREADABLE."""
        context = server_authentication(self.ca_certificate)
        path = self.folder / STATION_FILE
        try:
            context.load_cert_chain(path, password="")
        except ssl.SSLError as error:
            raise _bad(path, "its key does not belong to its certificate, or has a password") from error
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE) from error
        return context


def server_authentication(ca_certificate: bytes) -> ssl.SSLContext:
    """Return the client's side of TLS 1.2 or later that trusts servers of one station CA (DER), by their names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    trust(context, ca_certificate)
    return context


def is_enrolled(folder: Path) -> bool:
    """Tell whether a folder has the identity of a station; raises UsageError FILE_UNREADABLE."""
    return is_file(folder / STATION_FILE)


def station_name(certificate: x509.Certificate) -> str:
    """Return the name in a station's certificate; empty if it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def read_servers(folder: Path) -> tuple[ServerPlace, ...]:
    """Return the servers of a station folder; none if it names none. Raises UsageError."""
    path = folder / SERVERS_FILE
    if not is_file(path):
        return ()
    lines = [line.strip() for line in read_text(path).splitlines()]
    return tuple(ServerPlace.parse(line) for line in lines if line and not line.startswith("#"))


def make_station_folder(folder: Path) -> None:
    """Make the folder of a station, which only its owner may open; raises OSError."""
    folder.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    durable_files.sync_folder(folder.parent)


def write_identity(
    folder: Path, *, key: bytes, certificate: bytes, ca_certificate: bytes, servers: Sequence[ServerPlace]
) -> None:
    """Write a station's files, the one that makes it enrolled last; raises OSError.

    `key` is PKCS#8 in PEM, the certificates are DER. After a power cut the folder has the old identity or the new one.
    """
    if servers:
        durable_files.replace(folder / SERVERS_FILE, "".join(f"{each}\n" for each in servers).encode(), _PUBLIC)
    durable_files.replace(folder / CA_FILE, _pem(ca_certificate), _PUBLIC)
    durable_files.replace(folder / STATION_FILE, key + _pem(certificate), PRIVATE)
    (folder / PENDING_KEY_FILE).unlink(missing_ok=True)


def _pem(certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)


def _station_certificate(path: Path) -> x509.Certificate:
    try:
        certificates = x509.load_pem_x509_certificates(read_bytes(path))
    except UNREADABLE as error:
        raise _bad(path, "it holds no certificate in PEM") from error
    return certificates[0]


def _require_private(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"Others may read or change the key of this station in {path}.",
            advice="If others could read it, have the station removed and enrol it again."
            f" Then run: chmod 600 {quote(str(path))}",
            code=Code.KEY_EXPOSED,
        )


def _bad(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not the identity of a station: {why}.",
        advice="Ask the supervisor for a new enrolment token, move the folder away, and enrol again.",
        code=Code.FILE_INVALID,
    )
