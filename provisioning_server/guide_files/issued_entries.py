"""What the guide's files need of an entry of the log: the record, the number of the certificate, the signer's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.certs.issued_record import IssuedRecord
from provisioning_server.ledger.changes import Issued
from provisioning_server.ledger.entry_bodies import ISSUED, decode
from provisioning_server.ledger.store import Ledger, LogEntry, StoredCertificate
from provisioning_server.records.signer_documents import SignerDocuments

BLOCK: Final = 256
"""Entries that are read at once."""


@dataclass(frozen=True, slots=True)
class IssuedEntry:
    """An entry of a certificate: its index in the log, its record, and whether it is known to be its chip's first."""

    index: int
    record: IssuedRecord
    first: bool = False


class IssuedEntries:
    """Reads them from a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def blocks(self, start: int, end: int) -> Iterator[tuple[int, list[IssuedEntry]]]:
        """Yield the certificates of the entries from `start` to before `end`, with the index after each block."""
        while start < end:
            found = self._ledger.entries(start, min(BLOCK, end - start))
            if not found:
                return
            start += len(found)
            yield start, list(_issued(found))

    def numbers(self, entries: Sequence[IssuedEntry]) -> list[int]:
        """Return for each entry which certificate of its chip it is, from 1."""
        chips = {entry.record.chip_serial for entry in entries if not entry.first}
        known = self._ledger.known(chips, ()) if chips else None
        return [
            1 if known is None or entry.first else _number(known.of_chip(entry.record.chip_serial), entry.index)
            for entry in entries
        ]

    def index_of(self, record: IssuedRecord) -> int | None:
        """Return the index of a record; None if the ledger does not have its certificate."""
        known = self._ledger.known({record.chip_serial}, ())
        found = (
            each.index for each in known.of_chip(record.chip_serial) if each.record.certificate == record.certificate
        )
        return next(found, None)

    def documents(self, record: IssuedRecord) -> SignerDocuments:
        """Return the signer documents that a record names."""
        return self._ledger.documents(record.documents)


def _number(of_chip: Sequence[StoredCertificate], index: int) -> int:
    return sum(stored.index <= index for stored in of_chip)


def _issued(entries: Sequence[LogEntry]) -> Iterator[IssuedEntry]:
    for entry in entries:
        if entry.kind == ISSUED:
            event = decode(entry.body.decode("ascii"))
            assert isinstance(event, Issued)
            yield IssuedEntry(entry.index, event.record)
