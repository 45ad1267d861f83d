"""What was decided about stations, work orders and certificates, as far as pages show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Invitation, Station, WorkOrder

ORDERS_AGE: Final = timedelta(seconds=10)
"""So old may the number of certificates of an order be."""
COUNTED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class KnownStation:
    """A station by its newest certificate, or by an invitation that is open. `ends` is the end of the certificate."""

    name: str
    admitted: datetime | None = None
    ends: datetime | None = None
    removed: bool = False
    invited_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AdministeredState:
    """The state at a moment; counts are at most `COUNTED_MAX`."""

    stations: tuple[KnownStation, ...] = ()
    orders: tuple[WorkOrder, ...] = ()
    unproven: int = 0
    revoked: int = 0


@dataclass(slots=True)
class AdministrationReader:
    """Reads the state, and what has not changed not again. One thread at a time."""

    clock: Callable[[], datetime]
    _newest: int = -2
    _stations: tuple[KnownStation, ...] = ()
    _orders: tuple[WorkOrder, ...] = ()
    _orders_until: datetime | None = field(default=None)

    def read(self, ledger: SqlLedger) -> AdministeredState:
        """Return the state; raises AtcaProvError as the ledger."""
        newest, now = ledger.administered.newest(), self.clock()
        changed = newest != self._newest
        if changed:
            self._stations = known_stations(ledger.administered.stations(), ledger.administered.invitations(), now)
        if changed or self._orders_until is None or not self._orders_until - ORDERS_AGE <= now < self._orders_until:
            self._orders = tuple(ledger.administered.orders())
            self._orders_until = now + ORDERS_AGE
        self._newest = newest
        tables = ledger.tables
        return AdministeredState(
            self._stations, self._orders, tables.unproven_count(COUNTED_MAX), tables.revoked_count(COUNTED_MAX)
        )


def known_stations(
    stations: Sequence[Station], invitations: Sequence[Invitation], now: datetime
) -> tuple[KnownStation, ...]:
    """Return each station once, by its name: its newest certificate counts, or its open invitation."""
    found = {
        each.invited.station: KnownStation(each.invited.station, invited_until=each.invited.expires)
        for each in invitations
        if each.closed is None and now < each.invited.expires
    }
    found |= {
        each.admitted.station: KnownStation(
            each.admitted.station, each.admitted.time, _end_of(each.admitted.certificate), each.removed is not None
        )
        for each in stations
    }
    return tuple(found[name] for name in sorted(found))


def _end_of(der: bytes) -> datetime | None:
    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc
    except ValueError:
        return None
