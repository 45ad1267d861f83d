"""What is asked about stations, work orders and revocations. The entries themselves hold what the tables point to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

from provisioning_server.ledger.administration import (
    AdministrativeEvent,
    CrlIssued,
    OrderOpened,
    Revoked,
    StationAdmitted,
    StationInvited,
)
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.sql.database import Connection, DatabaseError
from provisioning_server.ledger.store import Invitation, Station, WorkOrder

_Event = TypeVar("_Event", StationInvited, StationAdmitted, OrderOpened, Revoked, CrlIssued)

_ORDERS: Final = "SELECT e.idx, e.body, w.issued, w.closed FROM work_orders w JOIN entries e ON e.idx = w.idx"


class AdministrationTables:
    """Reads the tables of a ledger."""

    def __init__(self, reading: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._reading = reading

    def newest(self) -> int:
        """Return the index of the newest administrative entry; -1 if there is none."""
        with self._reading() as connection:
            ((newest,),) = connection.rows("SELECT administered FROM ledger")
        return int(newest)

    def stations(self) -> Sequence[Station]:
        """Return the certificates of all stations that ever were, oldest first."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT e.idx, e.body, s.removed FROM stations s JOIN entries e ON e.idx = s.idx ORDER BY e.idx"
            )
            return [Station(_event(StationAdmitted, index, body), removed) for index, body, removed in rows]

    def invitations(self) -> Sequence[Invitation]:
        """Return all invitations, oldest first."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT e.idx, e.body, i.closed FROM invitations i JOIN entries e ON e.idx = i.idx ORDER BY e.idx"
            )
            return [Invitation(_event(StationInvited, index, body), index, closed) for index, body, closed in rows]

    def orders(self) -> Sequence[WorkOrder]:
        """Return all work orders, oldest first."""
        with self._reading() as connection:
            return [_order(*row) for row in connection.rows(f"{_ORDERS} ORDER BY e.idx")]

    def order(self, name: str) -> WorkOrder | None:
        """Return the work order of a name; None if there never was one."""
        with self._reading() as connection:
            rows = connection.rows(f"{_ORDERS} WHERE w.name = ?", (name,))
            return _order(*rows[0]) if rows else None

    def revocations(self, signer_serial: bytes | None = None) -> Sequence[Revoked]:
        """Return what was revoked of a signer (9 bytes), or of all, oldest first."""
        found = "SELECT e.idx, e.body FROM revocations r JOIN entries e ON e.idx = r.idx"
        with self._reading() as connection:
            if signer_serial is None:
                rows = connection.rows(f"{found} ORDER BY e.idx")
            else:
                rows = connection.rows(f"{found} WHERE r.signer_serial = ? ORDER BY e.idx", (signer_serial,))
            return [_event(Revoked, *row) for row in rows]

    def revocation(self, certificate_index: int) -> Revoked | None:
        """Return how a certificate was revoked, by its entry; None if it was not."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT e.idx, e.body FROM revocations r JOIN entries e ON e.idx = r.idx WHERE r.certificate = ?",
                (certificate_index,),
            )
            return _event(Revoked, *rows[0]) if rows else None

    def newest_revocation(self, signer_serial: bytes) -> int:
        """Return the entry of the newest revocation of a signer (9 bytes); -1 if there is none."""
        with self._reading() as connection:
            ((newest,),) = connection.rows(
                "SELECT coalesce(max(idx), -1) FROM revocations WHERE signer_serial = ?", (signer_serial,)
            )
        return int(newest)

    def newest_crl(self, signer_serial: bytes) -> CrlIssued | None:
        """Return the newest list of a signer (9 bytes); None if it has signed none."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT e.idx, e.body FROM crls c JOIN entries e ON e.idx = c.idx WHERE c.signer_serial = ?"
                " ORDER BY c.number DESC LIMIT 1",
                (signer_serial,),
            )
            return _event(CrlIssued, *rows[0]) if rows else None

    def newest_crls(self) -> Sequence[CrlIssued]:
        """Return the newest list of each signer that has signed one."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT e.idx, e.body FROM crls c JOIN entries e ON e.idx = c.idx WHERE NOT EXISTS"
                " (SELECT 1 FROM crls d WHERE d.signer_serial = c.signer_serial AND d.number > c.number) ORDER BY e.idx"
            )
            return [_event(CrlIssued, *row) for row in rows]

    def unproven_and_revoked(self) -> tuple[int, int]:
        """Return how many certificates are not proven though they could be, and how many are revoked."""
        with self._reading() as connection:  # both have an index of their own
            ((unproven, revoked),) = connection.rows(
                "SELECT (SELECT count(*) FROM certificates WHERE proven IS NULL AND challenged = 1),"
                " (SELECT count(*) FROM certificates WHERE revoked IS NOT NULL)"
            )
        return int(unproven), int(revoked)


def _order(index: Any, body: Any, issued: Any, closed: Any) -> WorkOrder:
    return WorkOrder(_event(OrderOpened, index, body), issued, closed)


def _event(kind: type[_Event], index: int, body: str) -> _Event:
    try:
        event: AdministrativeEvent | object = decode(body)
    except ValueError as error:
        raise DatabaseError(f"entry {index} is damaged") from error
    if not isinstance(event, kind):
        raise DatabaseError(f"entry {index} is of another kind than it should be")
    return event
