"""Accept what a ledger lacks, for a reason that becomes an entry of it. Its log goes on in the next epoch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from atcaprov.errors import UsageError
from provisioning_server.ledger.changes import Changes, RollbackAccepted
from provisioning_server.ledger.rollback_notes import RollbackNotes
from provisioning_server.ledger.store import Ledger


def accept_rollback(
    ledger: Ledger, notes: RollbackNotes, signer: bytes | None, reason: str, now: datetime
) -> tuple[list[RollbackAccepted], RollbackNotes]:
    """Record that what was found of a signer (serial number, 9 bytes; None: everything) is accepted.

    Returns the entries, and the notes that are left. Raises UsageError if nothing was found, or the reason is no line
    of text; AtcaProvError RECORDS_FAILED.
    """
    reason = " ".join(reason.split())
    if not reason or not reason.isprintable():
        raise UsageError(
            "The reason is empty, or holds characters that cannot be printed.",
            advice="Say in one line why the ledger is behind; it is recorded permanently.",
        )
    if signer is None and not notes:
        raise UsageError(
            "The server has not found that its ledger is behind.",
            advice="Start it, with its signer modules plugged in, and read its log: nothing else can be accepted.",
        )
    if signer is not None and signer not in notes.signers:
        raise UsageError(
            f"The server has not found that its ledger is behind the signer {signer.hex().upper()}.",
            advice="Check the serial number; the server's log names the signer.",
        )
    accepted = list(_accepted(ledger, notes, signer, reason, now))
    if accepted:
        ledger.commit(Changes(events=[*accepted]))
    return accepted, RollbackNotes() if signer is None else notes.without_signer(signer)


def _accepted(
    ledger: Ledger, notes: RollbackNotes, signer: bytes | None, reason: str, now: datetime
) -> Iterator[RollbackAccepted]:
    if signer is None and (notes.checkpoint or notes.files):
        yield RollbackAccepted(now, reason, checkpoint=notes.checkpoint)
    for serial, ahead in notes.signers.items():
        tally = ledger.tally(serial)
        missing = ahead.used - (tally.signatures if tally is not None else 0)
        if missing > 0 and signer in (None, serial):  # else a newer ledger was put back
            yield RollbackAccepted(now, reason, serial, missing)
