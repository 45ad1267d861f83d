"""What a step writes of administrative events, besides their entries: the tables that are asked about them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from provisioning_server.ledger.administration import (
    AdministrativeEvent,
    CrlIssued,
    OrderClosed,
    OrderOpened,
    Revoked,
    StationAdmitted,
    StationInvited,
    StationRemoved,
)
from provisioning_server.ledger.sql.database import Connection, DatabaseError, Value

_Statement = tuple[str, tuple[Value, ...]]
_ADMITTED: Final = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM invitations WHERE token_hash = ? AND closed IS NULL)"
_RENEWED: Final = (
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM stations WHERE fingerprint = ?)"
    " OR (SELECT count(*) = count(removed) AND count(*) > 0 FROM stations WHERE name = ?)"
)
"""A renewal that was decided before the removal of its station does not outlive that."""
_REMOVED: Final = (
    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM stations WHERE name = ? AND removed IS NULL)"
    " AND NOT EXISTS (SELECT 1 FROM invitations WHERE station = ? AND closed IS NULL)"
)
_CLOSED: Final = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM work_orders WHERE name = ? AND closed IS NULL)"


def write_administration(
    connection: Connection, events: Sequence[object], first: int, left_out: Collection[int]
) -> frozenset[int]:
    """Write what is looked up of the administrative events of a step; return the places of those that change nothing.

    Under the lock of the step: two servers may admit a station with one token, or revoke a certificate, at the same
    moment, and the first one counts. `first` is the index of the step's first entry; the events at the places
    `left_out` get none.
    """
    found: set[int] = set()
    index, newest = first, None
    for place, event in enumerate(events):
        if place in left_out:
            continue
        if isinstance(event, AdministrativeEvent):
            if connection.rows(*_QUESTIONS[type(event)](event)):
                found.add(place)
                continue
            for statement, values in _statements(event, index):
                connection.run(statement, values)
            newest = index
        index += 1
    if newest is not None:
        connection.run("UPDATE ledger SET administered = ?", (newest,))
    return frozenset(found)


_QUESTIONS: Final[Mapping[type[AdministrativeEvent], Callable[[Any], _Statement]]] = {
    StationInvited: lambda each: ("SELECT 1 FROM invitations WHERE token_hash = ?", (each.token_hash,)),
    StationAdmitted: lambda each: (
        (_ADMITTED, (each.token_hash,))
        if each.token_hash
        else (_RENEWED, (fingerprint(each.certificate), each.station))
    ),
    StationRemoved: lambda each: (_REMOVED, (each.station, each.station)),
    OrderOpened: lambda each: ("SELECT 1 FROM work_orders WHERE name = ?", (each.order,)),
    OrderClosed: lambda each: (_CLOSED, (each.order,)),
    Revoked: lambda each: ("SELECT 1 FROM revocations WHERE certificate = ?", (each.certificate_index,)),
    CrlIssued: lambda each: (
        "SELECT 1 FROM crls WHERE signer_serial = ? AND number >= ?",
        (each.signer_serial, each.number),
    ),
}


def fingerprint(certificate: bytes) -> bytes:
    """Return what a station's certificate (DER) is looked up by: its SHA-256."""
    return sha256(certificate).digest()


def _statements(event: AdministrativeEvent, index: int) -> Iterator[_Statement]:
    if isinstance(event, StationInvited):
        values = (event.token_hash, event.station, index)
        yield "INSERT INTO invitations (token_hash, station, idx, closed) VALUES (?, ?, ?, NULL)", values
    elif isinstance(event, StationAdmitted):
        station = (fingerprint(event.certificate), event.station, index)
        yield "INSERT INTO stations (fingerprint, name, idx, removed) VALUES (?, ?, ?, NULL)", station
        yield "UPDATE invitations SET closed = ? WHERE token_hash = ?", (index, event.token_hash)
    elif isinstance(event, StationRemoved):
        yield "UPDATE stations SET removed = ? WHERE name = ? AND removed IS NULL", (index, event.station)
        yield "UPDATE invitations SET closed = ? WHERE station = ? AND closed IS NULL", (index, event.station)
    elif isinstance(event, OrderOpened):
        order = (event.order, index, event.count)
        yield "INSERT INTO work_orders (name, idx, most, issued, closed) VALUES (?, ?, ?, 0, NULL)", order
    elif isinstance(event, OrderClosed):
        yield "UPDATE work_orders SET closed = ? WHERE name = ?", (index, event.order)
    elif isinstance(event, Revoked):
        revoked = (event.certificate_index, event.signer_serial, index)
        yield "INSERT INTO revocations (certificate, signer_serial, idx) VALUES (?, ?, ?)", revoked
    else:
        crl = (event.signer_serial, event.number, index)
        yield "INSERT INTO crls (signer_serial, number, idx) VALUES (?, ?, ?)", crl


def mark_revoked(connection: Connection, revoked: Revoked) -> None:
    """Note a revocation at its certificate, whose row exists by now."""
    changed = connection.run(
        "UPDATE certificates SET revoked = ? WHERE idx = ? AND chip_serial = ?",
        (int(revoked.time.timestamp()), revoked.certificate_index, revoked.chip_serial),
    )
    if changed != 1:
        raise DatabaseError("a revocation names a certificate that the ledger does not have")
