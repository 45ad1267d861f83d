"""Servers and clients that meet over plain TCP or over TLS, so that one test can ask for both."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.provisioning.station_identity import StationIdentity, make_station_folder, write_identity
from provisioning_server.ledger.administer import administer
from provisioning_server.ledger.administration import StationAdmitted
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.signers.signer import Signer
from provisioning_server.stations.station_ca import StationCa
from tests.support.server import PATIENCE, ServerAddress, ServerProgram, WireClient, running_server, server_program
from tests.support.stations import key_pem, new_key


def admitted_station(data: Path, folder: Path, name: str = "line-1") -> StationIdentity:
    """Admit a station to the ledger of a data folder that no server uses; return its identity, in a folder."""
    now = datetime.now(UTC)
    data.mkdir(parents=True, exist_ok=True)
    ca, key = StationCa.open(data, now), new_key()
    certificate = ca.certify_station(name, key.public_key(), now)
    with contextlib.closing(open_ledger(LedgerPlace(data).ledger, now)) as ledger:
        administer(ledger, lambda _: [StationAdmitted(now, name, certificate)])
    return stored_station(folder, ca.certificate, key, certificate)


def stored_station(folder: Path, ca: bytes, key: ec.EllipticCurvePrivateKey, certificate: bytes) -> StationIdentity:
    """Write the folder of a station, whether or not a server admits it."""
    make_station_folder(folder)
    write_identity(folder, key=key_pem(key), certificate=certificate, ca_certificate=ca, servers=())
    return StationIdentity.load(folder)


class TlsWireClient(WireClient):
    """A client that speaks the wire protocol over TLS."""

    def __init__(self, address: ServerAddress, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        plain = socket.create_connection(address, PATIENCE)
        try:
            secured = context.wrap_socket(plain, server_hostname="localhost", session=session)
        except BaseException:
            plain.close()
            raise
        super().__init__(address, connected=secured)


class Network:
    """How servers and clients of a test meet."""

    def __init__(self, *, tls: bool, folder: Path) -> None:
        self.tls = tls
        self._folder = folder
        self._contexts: Iterator[ssl.SSLContext] = iter(())

    @contextlib.contextmanager
    def server(self, signers: Path | Signer | Sequence[Signer], data: Path, **options: Any) -> Iterator[ServerAddress]:
        """Run a server; with TLS, one that has admitted the station line-1."""
        if self.tls:
            self._contexts = itertools.repeat(admitted_station(data, self._folder / "station").tls_context())
        with running_server(signers, data, tls=self.tls, **options) as address:
            yield address

    @contextlib.contextmanager
    def server_program(self, folder: Path, data: Path, stations: int = 1, **started: Any) -> Iterator[ServerProgram]:
        """Run the program with a signer folder; with TLS it has admitted stations, which take turns to connect."""
        options = ["--signer", folder, "--data", data]
        if self.tls:
            places = [(f"line-{number}", self._folder / f"station-{number}") for number in range(1, stations + 1)]
            identities = [admitted_station(data, place, name) for name, place in places]
            self._contexts = itertools.cycle([each.tls_context() for each in identities])
            options += ["--tls", "--tls-name", "localhost"]
        with server_program(*options, **started) as program:
            yield program

    def client(self, address: ServerAddress) -> WireClient:
        """Connect."""
        return TlsWireClient(address, next(self._contexts)) if self.tls else WireClient(address)
