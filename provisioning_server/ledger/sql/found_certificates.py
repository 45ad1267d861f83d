"""The conditions of a search, as SQL. Only constants become part of a statement."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning_server.ledger.search import CertificateFilter
from provisioning_server.ledger.sql.database import Value
from provisioning_server.ledger.sql.schema import KEY_PREFIX
from provisioning_server.ledger.sql.written_step import seconds
from provisioning_server.ledger.store import StoredCertificate

_Condition = tuple[str, tuple[Value, ...]]


def conditions(wanted: CertificateFilter, after: StoredCertificate | None) -> tuple[str, list[Value]]:
    """Return the condition over the table `certificates` as `c`, and the values for its marks."""
    found = [*_given(wanted), *_place(after)]
    return " AND ".join(text for text, _ in found) or "1 = 1", [value for _, values in found for value in values]


def _given(wanted: CertificateFilter) -> Iterator[_Condition]:
    if wanted.public_key is not None:
        yield "substr(c.public_key, 1, 8) = ? AND c.public_key = ?", (wanted.public_key[KEY_PREFIX], wanted.public_key)
    columns = ("chip_serial", "signer_serial", "certificate_serial", "fate")
    for column in columns:
        value: Value = getattr(wanted, column)
        if value is not None:
            yield f"c.{column} = ?", (value,)
    if wanted.order is not None:
        yield "c.work_order <> '' AND c.work_order = ?", (wanted.order,)
    if wanted.revoked is not None:
        yield "c.revoked IS NOT NULL" if wanted.revoked else "c.revoked IS NULL", ()
    if wanted.station is not None:
        prefix = f"{wanted.station}:"
        text = "(c.station = ? OR c.client = ? OR substr(c.client, 1, CAST(? AS INTEGER)) = ?)"
        yield text, (wanted.station, wanted.station, len(prefix), prefix)
    if wanted.since is not None:
        yield "c.time >= ?", (seconds(wanted.since),)
    if wanted.until is not None:
        yield "c.time < ?", (seconds(wanted.until),)
    if wanted.proven is not None:
        yield "c.proven IS NOT NULL" if wanted.proven else "c.proven IS NULL", ()


def _place(after: StoredCertificate | None) -> Iterator[_Condition]:
    if after is not None:
        yield "(c.time, c.idx) > (?, ?)", (seconds(after.record.time), after.index)
