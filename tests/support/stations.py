"""Stations for tests: a station CA made by `cryptography` alone, and folders of enrolled stations."""

from __future__ import annotations

import functools
import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from atcaprov.provisioning.station_identity import StationIdentity, make_station_folder, write_identity
from atcaprov.wire.server_place import ServerPlace
from provisioning_server.stations.server_tls import server_context

DAY = timedelta(days=1)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class ExampleStationCa:
    """A CA with the extensions of a station CA."""

    def __init__(self, name: str = "Example station CA") -> None:
        self.key = new_key()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._signed(
            self.name, self.key.public_key(), None, ca=True, begins=datetime.now(UTC) - DAY, ends=_in(7000)
        )

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def station_certificate(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str = "line-1",
        *,
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._signed(
            subject,
            key,
            ExtendedKeyUsageOID.CLIENT_AUTH,
            begins=begins or datetime.now(UTC) - DAY,
            ends=ends or _in(365),
        )

    def server_certificate(
        self,
        key: ec.EllipticCurvePublicKey,
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        return self._signed(
            subject,
            key,
            ExtendedKeyUsageOID.SERVER_AUTH,
            names=names,
            begins=begins or datetime.now(UTC) - DAY,
            ends=ends or _in(365),
        )

    def server_file(
        self,
        path: Path,
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> Path:
        """Write key and certificate of a server into one file for `ssl.SSLContext.load_cert_chain`."""
        key = new_key()
        certificate = self.server_certificate(key.public_key(), names, begins, ends)
        path.write_bytes(key_pem(key) + certificate.public_bytes(Encoding.PEM))
        return path

    def enrolled(self, folder: Path, name: str = "line-1", servers: Sequence[ServerPlace] = ()) -> StationIdentity:
        """Write the folder of a station that is enrolled, as `provisioning-client enrol` does."""
        key = new_key()
        certificate = self.station_certificate(key.public_key(), name)
        make_station_folder(folder)
        write_identity(
            folder,
            key=key_pem(key),
            certificate=certificate.public_bytes(Encoding.DER),
            ca_certificate=self.der,
            servers=servers,
        )
        return StationIdentity.load(folder)

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        purpose: x509.ObjectIdentifier | None,
        *,
        begins: datetime,
        ends: datetime,
        ca: bool = False,
        names: Sequence[str] = (),
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder(self.name, subject, key, x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
        )
        if purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), False)
        return builder.sign(self.key, hashes.SHA256())


def _in(days: int) -> datetime:
    return datetime.now(UTC) + days * DAY


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@functools.cache
def example_ca() -> ExampleStationCa:
    return ExampleStationCa()


@functools.cache
def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS contexts of a server and of the station line-1."""
    with tempfile.TemporaryDirectory() as folder:
        server = server_context(example_ca().server_file(Path(folder, "server.pem")), example_ca().der)
        return server, example_ca().enrolled(Path(folder, "station")).tls_context()
