"""Who may ask: decided by the certificate of a connection, for each request again.

A certificate of the station CA alone admits no one: it has to be in the table of stations, and not removed. Of one
station the two newest certificates are admitted: an answer with a new one may have been lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.ledger.store import Station

_ADMITTED: Final = 2


@dataclass(frozen=True, slots=True)
class _Admitted:
    name: str
    begins: datetime
    ends: datetime
    removed: bool
    replaced: bool


class Admission:
    """The table of stations in memory. It may be asked from any thread, and is replaced as a whole."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._known: dict[bytes, _Admitted] = {}
        self._removed: frozenset[bytes] = frozenset()
        """Certificates that are being removed: the table is read again a little later."""
        self.last_seen: Final[dict[str, datetime]] = {}
        """When each station asked last, since the start."""

    def update(self, stations: Sequence[Station]) -> None:
        """Take over the whole table, oldest first."""
        newer: Counter[str] = Counter()
        known = {}
        for each in reversed(stations):
            name, certificate = each.admitted.station, each.admitted.certificate
            known[certificate] = self._entry(each, replaced=newer[name] >= _ADMITTED)
            newer[name] += each.removed is None
        self._known = known

    def remove(self, name: str) -> None:
        """Admit no certificate of a station from now on; the ledger follows."""
        self._removed |= {certificate for certificate, entry in self._known.items() if entry.name == name}

    def admit(self, certificate: bytes) -> str | ErrorReply:
        """Return the name of the station with a certificate (DER; empty: none was shown), or why it may not ask."""
        if not certificate:
            return rejections.STATION_MISSING
        found = self._known.get(certificate)
        if found is None:
            return rejections.STATION_UNKNOWN
        if found.removed or certificate in self._removed:
            return rejections.station_removed(found.name)
        if found.replaced:
            return rejections.station_replaced(found.name)
        now = self._clock()
        if not found.begins <= now <= found.ends:
            return rejections.station_expired(found.name, found.begins, found.ends, now)
        self.last_seen[found.name] = now
        return found.name

    def refusal(self, name: str) -> ErrorReply | None:
        """Return why a station that was admitted when it asked gets no certificate now; None if it does."""
        certificates = (certificate for certificate, entry in self._known.items() if entry.name == name)
        gone = all(self._known[each].removed or each in self._removed for each in certificates)
        return rejections.station_removed(name) if name and gone else None

    def _entry(self, station: Station, *, replaced: bool) -> _Admitted:
        removed = station.removed is not None
        before = self._known.get(station.admitted.certificate)
        if before is not None:
            return _Admitted(before.name, before.begins, before.ends, removed, replaced)
        certificate = x509.load_der_x509_certificate(station.admitted.certificate)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return _Admitted(station.admitted.station, begins, ends, removed, replaced)
