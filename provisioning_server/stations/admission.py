"""Who may ask: decided by the certificate of a connection, for each request again.

A certificate of the station CA alone admits no one: it has to be in the table of stations, and not removed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.stations.server_tls import ServerTls


@dataclass(frozen=True, slots=True)
class StationEntry:
    """A certificate (DER) in the table of stations: whose it is, and whether it was removed."""

    name: str
    certificate: bytes
    removed: bool = False


@dataclass(frozen=True, slots=True)
class _Validity:
    entry: StationEntry
    begins: datetime
    ends: datetime


class Admission:
    """The table of stations, and the TLS of connections. Used on the event loop alone."""

    def __init__(self, tls: ServerTls, clock: Callable[[], datetime]) -> None:
        self._tls = tls
        self._clock = clock
        self._known: dict[bytes, _Validity] = {}

    def context(self) -> ssl.SSLContext:
        """Return the TLS context of a new connection."""
        return self._tls.context()

    def update(self, entries: Iterable[StationEntry]) -> None:
        """Take over the whole table."""
        known = {}
        for entry in entries:
            before = self._known.get(entry.certificate)
            known[entry.certificate] = before if before and before.entry == entry else _validity(entry)
        self._known = known

    def admit(self, certificate: bytes) -> str | ErrorReply:
        """Return the name of the station with a certificate (DER; empty: none was shown), or why it may not ask."""
        if not certificate:
            return rejections.STATION_MISSING
        found = self._known.get(certificate)
        if found is None:
            return rejections.STATION_UNKNOWN
        if found.entry.removed:
            return rejections.station_removed(found.entry.name)
        now = self._clock()
        if not found.begins <= now <= found.ends:
            return rejections.station_expired(found.entry.name, found.begins, found.ends, now)
        return found.entry.name


def _validity(entry: StationEntry) -> _Validity:
    certificate = x509.load_der_x509_certificate(entry.certificate)
    return _Validity(entry, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
