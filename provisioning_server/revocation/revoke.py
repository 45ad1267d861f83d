"""Take certificates back: the events of one step. Decided where the ledger is written, in the server or in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from atcaprov.errors import Code, ProtocolError, UsageError
from provisioning_server.ledger.actions import ActionPlace, PlannedAction
from provisioning_server.ledger.administration import Revoked
from provisioning_server.ledger.store import Ledger, StoredCertificate
from provisioning_server.revocation.reasons import Reason, read_reason
from provisioning_server.revocation.selection import SelectableLedger, Selection, choose

REVOKE: Final = "revoke"
NOTE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class RevocationOrder:
    """What a person wants to revoke and why; `digest` is that of the certificates that the person was shown."""

    selection: Selection
    reason: Reason
    digest: str
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it for the control channel."""
        return {
            "selection": self.selection.to_json(),
            "reason": str(self.reason),
            "digest": self.digest,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` returns; raises ProtocolError, or UsageError for a reason or a note that cannot be."""
        texts = [values.get(name) for name in ("reason", "digest", "note")]
        if not all(isinstance(text, str) for text in texts):
            raise ProtocolError("The order to revoke is not one.", code=Code.BAD_FRAME)
        reason, digest, note = (cast(str, text) for text in texts)
        return cls(Selection.from_json(values.get("selection")), read_reason(reason), digest, checked_note(note))

    def event(self, stored: StoredCertificate, place: ActionPlace) -> Revoked:
        """Return the entry for a certificate."""
        record = stored.record
        return Revoked(
            time=place.now.replace(microsecond=0),
            certificate_index=stored.index,
            chip_serial=record.chip_serial,
            signer_serial=record.signer_serial,
            certificate_serial=record.certificate_serial,
            reason=str(self.reason),
            note=self.note,
            by=place.by,
        )


def revoke(arguments: Mapping[str, Any], place: ActionPlace) -> PlannedAction:
    """Plan to revoke what an order names (`RevocationOrder.to_json`).

    Its decision raises UsageError as `choose`, and when the certificates are others than those that were shown.
    """
    order = RevocationOrder.from_json(arguments)

    def decide(ledger: Ledger) -> Sequence[Revoked]:
        chosen = choose(cast(SelectableLedger, ledger), order.selection)
        if chosen.digest != order.digest:
            raise UsageError(
                f"The ledger has changed: {len(chosen.certificates)} certificates would be revoked now. Nothing was"
                " revoked.",
                advice="Run the command again and look at its list.",
            )
        return [order.event(each, place) for each in chosen.certificates]

    return PlannedAction(decide, lambda written: {"revoked": sum(index is not None for index in written)})


def checked_note(text: str) -> str:
    """Return a note in one line; raises UsageError for one that cannot be printed or is too long."""
    note = " ".join(text.split())
    if len(note) > NOTE_MAX or (note and not note.isprintable()):
        raise UsageError(
            "The note is too long, or holds characters that cannot be printed.",
            advice=f"Say in at most {NOTE_MAX} characters what happened.",
        )
    return note
