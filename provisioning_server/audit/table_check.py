"""Compare the tables that a ledger makes of its entries with them: a server decides by the tables.

Without its row a certificate would be unknown, and its chip could get another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Final

from provisioning_server.audit.findings import AuditReport
from provisioning_server.ledger.administration import Revoked
from provisioning_server.ledger.changes import Event, Issued, Reported
from provisioning_server.ledger.store import Ledger, StoredCertificate

_BATCH: Final = 256


def check_tables(ledger: Ledger, size: int, events: Iterable[tuple[int, Event]], report: AuditReport) -> None:
    """Look up every certificate and proof of the first `size` entries as the server does; raises AtcaProvError."""
    issued = Counter[bytes]()
    remaining = iter(events)
    while batch := list(islice(remaining, _BATCH)):
        _check_batch(ledger, batch, report)
        issued.update(event.record.signer_serial for _, event in batch if isinstance(event, Issued))
    tallies = {signer_serial: ledger.tally(signer_serial) for signer_serial in issued}
    has_grown = ledger.head().size > size  # a server writes meanwhile
    for signer_serial, count in issued.items():
        tally = tallies[signer_serial]
        told = 0 if tally is None else tally.issued
        if told < count or (told > count and not has_grown):
            report.find(
                "table-differs",
                f"Signer {signer_serial.hex().upper()} has {count} certificates in the log and {told} in its table.",
            )


def _check_batch(ledger: Ledger, batch: list[tuple[int, Event]], report: AuditReport) -> None:
    certificates = [event.record for _, event in batch if isinstance(event, Issued)]
    chips = {record.chip_serial for record in certificates}
    chips |= {event.chip_serial for _, event in batch if isinstance(event, Reported)}
    known = ledger.known(chips, {record.public_key for record in certificates})
    for index, event in batch:
        if isinstance(event, Issued):
            record = event.record
            if _stored(known.of_chip(record.chip_serial), index) is None or known.chip_of(record.public_key) is None:
                report.find("table-differs", "The table of certificates does not have this one.", index)
        elif isinstance(event, Reported) and event.proven:
            stored = _stored(known.of_chip(event.chip_serial), event.certificate_index)
            if stored is None or stored.proven is None:
                report.find("table-differs", "The table of certificates does not have this proof.", index)
        elif isinstance(event, Revoked) and ledger.administered.revocation(event.certificate_index) != event:
            report.find("table-differs", "The table of revocations does not have this one.", index)


def _stored(certificates: Iterable[StoredCertificate], index: int) -> StoredCertificate | None:
    return next((stored for stored in certificates if stored.index == index), None)
