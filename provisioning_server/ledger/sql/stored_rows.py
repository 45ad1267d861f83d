"""Rows of certificates with their entries, as objects."""

from __future__ import annotations

from typing import Final

from provisioning_server.ledger.changes import Issued
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.sql.database import DatabaseError, Row
from provisioning_server.ledger.sql.written_step import moment
from provisioning_server.ledger.store import StoredCertificate

CERTIFICATE: Final = (
    "SELECT c.idx, e.body, c.proven, c.fate, c.revoked FROM certificates c JOIN entries e ON e.idx = c.idx WHERE "
)
"""What `stored_certificate` reads; a condition follows."""


def stored_certificate(row: Row) -> StoredCertificate:
    """Return a row of `CERTIFICATE`; raises DatabaseError for one whose entry is damaged."""
    index, body, proven, fate, revoked = row
    try:
        issued = decode(body)
    except ValueError as error:
        raise DatabaseError(f"entry {index} is damaged") from error
    if not isinstance(issued, Issued):
        raise DatabaseError(f"entry {index} is of another kind than it should be")
    proven, revoked = (None if time is None else moment(time) for time in (proven, revoked))
    return StoredCertificate(index, issued.record, issued.challenge, proven, fate, revoked)
