"""What people ask about certificates: the newest, those with a number that begins so, and how many there were when.

Each statement finds a bounded number of rows by an index, so that it takes no longer with millions of certificates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

from provisioning_server.ledger.activity import IssuedInHour, LedgerActivity, ReportedRun
from provisioning_server.ledger.sql.database import Connection, DatabaseError, Value
from provisioning_server.ledger.sql.schema import KEY_PREFIX
from provisioning_server.ledger.sql.stored_rows import CERTIFICATE, stored_certificate
from provisioning_server.ledger.sql.written_step import moment, seconds
from provisioning_server.ledger.store import StoredCertificate

_CHIP_DIGITS: Final = 18
_SERIAL_DIGITS: Final = 40
_NO_END: Final = (1 << 63) - 1
_UNPROVEN: Final = "c.proven IS NULL AND c.challenged = 1"
_REVOKED: Final = "c.revoked IS NOT NULL"


class CertificateTables:
    """Reads the tables of a ledger."""

    def __init__(self, reading: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._reading = reading

    def at(self, index: int) -> StoredCertificate | None:
        """Return the certificate of an entry; None if the entry is of another kind, or there is none."""
        found = self._found("c.idx = ?", (index,))
        return found[0] if found else None

    def newest(self, before: int | None, count: int) -> Sequence[StoredCertificate]:
        """Return at most `count` certificates before an entry, newest first."""
        return self._newest_first("1 = 1", before, count)

    def unproven(self, before: int | None, count: int) -> Sequence[StoredCertificate]:
        """Return at most `count` that are not proven and could be, newest first."""
        return self._newest_first(_UNPROVEN, before, count)

    def revoked(self, before: int | None, count: int) -> Sequence[StoredCertificate]:
        """Return at most `count` that are revoked, newest first."""
        return self._newest_first(_REVOKED, before, count)

    def of_order(self, order: str, before: int | None, count: int) -> Sequence[StoredCertificate]:
        """Return at most `count` certificates of a work order, newest first."""
        return self._newest_first("c.work_order = ? AND c.work_order <> ''", before, count, (order,))

    def matching(self, text: str, count: int) -> Sequence[StoredCertificate]:
        """Return at most `count` certificates, newest first.

        The serial number of the chip or of the certificate begins with the text (hex digits, with or without blanks and
        colons), or the label or the name of the unit is the text.
        """
        found = {each.index: each for each in self._found("c.label = ? AND c.label <> '' LIMIT ?", (text, count))}
        found |= {each.index: each for each in self._found("c.unit = ? AND c.unit <> '' LIMIT ?", (text, count))}
        digits = "".join(text.split()).replace(":", "").lower()
        if digits and set(digits) <= set("0123456789abcdef"):
            found |= {each.index: each for each in self._of_digits(digits, count)}
        return sorted(found.values(), key=lambda each: each.index, reverse=True)[:count]

    def unproven_count(self, most: int) -> int:
        """Return how many certificates are not proven and could be, at most `most`."""
        return self._count(_UNPROVEN, most)

    def revoked_count(self, most: int) -> int:
        """Return how many certificates are revoked, at most `most`."""
        return self._count(_REVOKED, most)

    def first_index(self, since: datetime) -> int | None:
        """Return the index of the first certificate that was issued since a moment; None if none was."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT idx FROM certificates WHERE time >= ? ORDER BY time, idx LIMIT 1", (seconds(since),)
            )
        return int(rows[0][0]) if rows else None

    def activity(self, start: int, end: int, *, reports: bool = True) -> LedgerActivity:
        """Return what the entries from `start` to before `end` say; without `reports` certificates only."""
        with self._reading() as connection:
            issued = connection.rows(
                "SELECT time / 3600, signer_serial, count(*) FROM certificates WHERE idx >= ? AND idx < ?"
                " GROUP BY time / 3600, signer_serial",
                (start, end),
            )
            stations = connection.rows(
                "SELECT station, max(time) FROM certificates WHERE idx >= ? AND idx < ? AND station <> ''"
                " GROUP BY station",
                (start, end),
            )
            told = "SELECT idx, body FROM entries WHERE idx >= ? AND idx < ? AND kind = 'reported' ORDER BY idx"
            runs = connection.rows(told, (start, end)) if reports else []
            return LedgerActivity(
                tuple(IssuedInHour(*row) for row in issued),
                tuple(_run(index, body) for index, body in runs),
                tuple((name, moment(last)) for name, last in stations),
            )

    def _of_digits(self, digits: str, count: int) -> Sequence[StoredCertificate]:
        found: list[StoredCertificate] = []
        if len(digits) <= _CHIP_DIGITS:
            between = "c.chip_serial BETWEEN ? AND ? ORDER BY c.chip_serial LIMIT ?"
            found += self._found(between, (*_range(digits, _CHIP_DIGITS), count))
        if len(digits) <= _SERIAL_DIGITS:
            prefix = KEY_PREFIX.stop * 2
            between = "substr(c.certificate_serial, 1, 8) BETWEEN ? AND ? ORDER BY substr(c.certificate_serial, 1, 8)"
            rows = self._found(f"{between} LIMIT ?", (*_range(digits[:prefix], prefix), count))
            found += [each for each in rows if each.record.certificate_serial.hex().startswith(digits)]
        return found

    def _newest_first(
        self, condition: str, before: int | None, count: int, values: tuple[Value, ...] = ()
    ) -> Sequence[StoredCertificate]:
        end = _NO_END if before is None else before
        return self._found(f"{condition} AND c.idx < ? ORDER BY c.idx DESC LIMIT ?", (*values, end, count))

    def _found(self, condition: str, values: tuple[Value, ...]) -> list[StoredCertificate]:
        with self._reading() as connection:
            return [stored_certificate(row) for row in connection.rows(f"{CERTIFICATE}{condition}", values)]

    def _count(self, condition: str, most: int) -> int:
        some = f"SELECT 1 FROM certificates c WHERE {condition} LIMIT ?"  # noqa: S608 - constants
        with self._reading() as connection:
            ((found,),) = connection.rows(f"SELECT count(*) FROM ({some}) limited", (most,))  # noqa: S608
        return int(found)


def _range(digits: str, length: int) -> tuple[bytes, bytes]:
    """Return the first and the last number of `length` hex digits that begin so."""
    return bytes.fromhex(digits.ljust(length, "0")), bytes.fromhex(digits.ljust(length, "f"))


def _run(index: int, body: str) -> ReportedRun:
    """Read what is counted of a report; an audit reads all of it."""
    try:
        fields: dict[str, Any] = json.loads(body)
        received = datetime.fromisoformat(fields["received"])
        return ReportedRun(seconds(received) // 3600, str(fields["fate"]), str(fields["code"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"entry {index} is damaged") from error
