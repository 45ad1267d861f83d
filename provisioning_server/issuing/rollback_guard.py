"""Lets no signer work with a ledger that is behind: behind the signer's counter, or behind a checkpoint of its own.

What was found stands in `rollback.json` until the ledger has it again or an operator accepts it, over restarts too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.log import Log
from atcaprov.transparency.ledger_checkpoint import LedgerCheckpoint
from atcaprov.transparency.tiles import tree_root
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.issuing.rollback_rules import (
    CounterComparison,
    compare_counter,
    first_seen,
    settled_losses,
    why_behind,
)
from provisioning_server.ledger.changes import Changes, CounterSeen, Event, Intent, Lost
from provisioning_server.ledger.checkpoint_file import CheckpointFile
from provisioning_server.ledger.rollback_notes import RollbackFile, RollbackNotes, SignerAhead
from provisioning_server.ledger.store import Ledger
from provisioning_server.log_names import by_text, label
from provisioning_server.signers.signer import SignatureCounter, Signer

_SEEN_MAX: Final = 256
"""Checkpoints of stations that are remembered as good."""
_ACCEPT: Final = "provisioning-server ledger accept-rollback"
_NEWEST: Final = "Put the newest ledger back; if it is lost, stop the server and run"


@dataclass(frozen=True, slots=True)
class _Admission:
    """The outcome of a comparison; `final` if nothing was open that a later one could settle."""

    signer: Signer
    refusal: ErrorReply | None
    final: bool


class LedgerGuard(Protocol):
    """Says whether a signer may work with the ledger. Used by the thread that issues."""

    def admit(self, signer: Signer) -> ErrorReply | None:
        """Compare a signer that is ready with the ledger; return why it signs nothing, or None."""

    def signed(self, signer: Signer, intent: Intent, before: SignatureCounter | None) -> list[Event]:
        """Compare a signer's counter after a signature; return what is to be recorded besides."""

    def shown(self, note: bytes, client: str = "") -> None:
        """Take the newest checkpoint that a client keeps."""


class Unguarded:
    """A guard that lets every signer work."""

    def admit(self, signer: Signer) -> ErrorReply | None:
        """Return None."""

    def signed(self, signer: Signer, intent: Intent, before: SignatureCounter | None) -> list[Event]:
        """Return nothing."""
        return []

    def shown(self, note: bytes, client: str = "") -> None:
        """Do nothing."""


def _exclude_nothing(_: Signer, __: ErrorReply, ___: str) -> None:
    pass


class RollbackGuard:
    """Compares signers and checkpoints with the ledger. Used by the thread that issues; `refusal` by any thread.

    `read_checkpoint` verifies a note with the key of this log, and raises UsageError for any other; `exclude` takes a
    signer out of use.
    """

    def __init__(
        self,
        ledger: Ledger,
        file: RollbackFile,
        read_checkpoint: Callable[[bytes], LedgerCheckpoint],
        log: Log,
        now: Callable[[], datetime],
        exclude: Callable[[Signer, ErrorReply, str], None] = _exclude_nothing,
    ) -> None:
        self._exclude = exclude
        self._ledger = ledger
        self._file = file
        self._read_checkpoint = read_checkpoint
        self._log = log
        self._now = now
        self._notes = RollbackNotes()
        self._admissions: dict[bytes, _Admission] = {}  # by serial number
        self._contained: set[bytes] = set()

    def start(self, own: CheckpointFile) -> None:
        """Look at what was found before, and at the newest checkpoint of this server.

        Raises UsageError when one of the files cannot be read, is damaged, or was signed by another key.
        """
        self._notes = self._file.read()
        if self._notes.checkpoint and not self._why_behind(self._read_checkpoint(self._notes.checkpoint)):
            self._log.info("The ledger has the entries again that it lacked.")
            self._keep(replace(self._notes, checkpoint=b""))
        note = own.read()
        if note and not self._notes.checkpoint:
            self._compare(_own(own, note, self._read_checkpoint), f"what it was: {own.path} has its newest checkpoint")
        elif self._notes.checkpoint:
            self._say_behind(self._why_behind(self._read_checkpoint(self._notes.checkpoint)), "a checkpoint of it")

    def compare_files(self, missing: UsageError | None) -> None:
        """Note that the files of the data folder have certificates that the ledger lacks, or that they have none."""
        files = "" if missing is None else missing.what
        if files != self._notes.files:
            self._keep(replace(self._notes, files=files))

    @property
    def is_behind(self) -> bool:
        """Return whether the ledger lacks entries of a checkpoint, so that no signer works."""
        return bool(self._notes.checkpoint)

    def refusal(self, signer: Signer) -> ErrorReply | None:
        """Return why a signer signs nothing, as far as it was compared already; None if nothing is known against it."""
        if self.is_behind:
            return rejections.LEDGER_BEHIND
        known = self._admissions.get(signer.serial)
        return known.refusal if known is not None and known.signer is signer else None

    def admit(self, signer: Signer) -> ErrorReply | None:
        """Compare a signer that is ready with the ledger, once; return why it signs nothing, or None.

        Records what its counter tells, and takes a signer that signs nothing out of use. Raises AtcaProvError
        RECORDS_FAILED.
        """
        if self.is_behind:
            return rejections.LEDGER_BEHIND
        known = self._admissions.get(signer.serial)
        if known is None or known.signer is not signer or not known.final:
            counter = signer.counter
            known = _Admission(signer, None, True) if counter is None else self._compare_signer(signer, counter)
            self._admissions[signer.serial] = known
        return known.refusal

    def signed(self, signer: Signer, intent: Intent, before: SignatureCounter | None) -> list[Event]:
        """Compare a signer's counter with the ledger after a signature for an intent that is still open there.

        `before` is its counter before that. Returns what is to be recorded besides: signatures lost in noise. Raises
        AtcaProvError LEDGER_BEHIND or COUNTER_BEHIND when the result must not be given out.
        """
        after = signer.counter
        if before is None or after is None:
            return []
        lost = after.value - before.value - 1
        tally = self._ledger.tally(signer.serial)
        compared = compare_counter(replace(after, value=before.value), tally, max(self._open_intents(signer) - 1, 0))
        refusal = self._refusal(signer, compared)
        if refusal is None and lost < 0:
            refusal = rejections.COUNTER_BEHIND
        if refusal is not None:
            self._admissions[signer.serial] = _Admission(signer, refusal, True)
            raise AtcaProvError(refusal.message, code=refusal.code)
        return [Lost(intent, self._now(), True, "the answer was damaged, and the signer was asked again")] * lost

    def shown(self, note: bytes, client: str = "") -> None:
        """Take the newest checkpoint that a client keeps. One that this log has not signed is ignored."""
        if not note or note in self._contained or self.is_behind:
            return
        try:
            checkpoint = self._read_checkpoint(note)
        except UsageError:
            return
        if checkpoint.origin.ledger_id != self._ledger.identity.ledger_id:
            return  # of an earlier ledger with the same key
        self._compare(checkpoint, f"the newest checkpoint of a station{by_text(client)}")

    def _compare(self, checkpoint: LedgerCheckpoint, beside: str) -> None:
        why = self._why_behind(checkpoint)
        if not why:
            if len(self._contained) >= _SEEN_MAX:
                self._contained.clear()
            self._contained.add(checkpoint.note)
            return
        self._keep(replace(self._notes, checkpoint=checkpoint.note))
        self._say_behind(why, beside)

    def _why_behind(self, checkpoint: LedgerCheckpoint) -> str:
        return why_behind(
            checkpoint,
            self._ledger.identity,
            self._ledger.head(),
            lambda size: tree_root(size, self._ledger.tile),
        )

    def _say_behind(self, why: str, beside: str) -> None:
        self._log.error(
            f"No certificate is issued: the ledger is behind {beside}: {why}. {_NEWEST}: {_ACCEPT} --reason TEXT"
        )

    def _compare_signer(self, signer: Signer, counter: SignatureCounter) -> _Admission:
        tally, open_intents, now = self._ledger.tally(signer.serial), self._open_intents(signer), self._now()
        seen = first_seen(signer.serial, counter, tally, now)
        compared = compare_counter(counter, tally, open_intents, first=0 if seen is None else seen.first)
        refusal = self._refusal(signer, compared)
        if refusal is not None:
            return _Admission(signer, refusal, True)
        settled = settled_losses(signer.serial, compared, tally, open_intents, now)
        events: list[Event] = [event for event in (seen, settled) if event is not None]
        if events:
            self._ledger.commit(Changes(events=events))
        if seen is not None:
            self._say_first_seen(signer, seen)
        if settled is not None:
            name = label(signer.serial, signer.name)
            self._log.info(f"{name} has made {settled.signatures} signatures for {settled.losses} lost certificates.")
        return _Admission(signer, None, not open_intents)

    def _say_first_seen(self, signer: Signer, seen: CounterSeen) -> None:
        name, recorded = label(signer.serial, signer.name), seen.value - seen.first
        counts = f"{name} is counted from now on: the ledger has {recorded} of its {seen.value} signatures"
        if seen.first:
            self._log.warning(
                f"{counts}. The other {seen.first} have no certificate here: they were made elsewhere, or records of an"
                " older version were not imported."
            )
        else:
            self._log.info(f"{counts}.")

    def _refusal(self, signer: Signer, compared: CounterComparison) -> ErrorReply | None:
        if compared.counter_is_behind:
            return self._refuse_fewer(signer, compared)
        if compared.ledger_is_behind:
            return self._refuse_more(signer, compared)
        if signer.serial in self._notes.signers:
            self._keep(self._notes.without_signer(signer.serial))
        return None

    def _refuse_fewer(self, signer: Signer, compared: CounterComparison) -> ErrorReply:
        counts = f"it has made {compared.used} signatures, but the ledger has {compared.recorded} of it"
        self._log.error(
            f"{label(signer.serial, signer.name)} signs nothing: {counts}. It is another chip with copied contents, or"
            " the records are those of another one."
        )
        self._exclude(signer, rejections.COUNTER_BEHIND, counts)
        return rejections.COUNTER_BEHIND

    def _refuse_more(self, signer: Signer, compared: CounterComparison) -> ErrorReply:
        name, serial = label(signer.serial, signer.name), signer.serial
        counts = f"it has {compared.recorded} of its signatures, and the signer has made {compared.used}"
        self._keep(self._notes.with_signer(serial, SignerAhead(compared.used, compared.recorded, self._now())))
        self._log.error(
            f"The ledger is behind {name}: {counts}. {_NEWEST}: {_ACCEPT} --signer {serial.hex().upper()} --reason TEXT"
        )
        self._exclude(signer, rejections.SIGNER_AHEAD, f"The ledger is behind it: {counts}")
        return rejections.SIGNER_AHEAD

    def _open_intents(self, signer: Signer) -> int:
        return sum(intent.signer_serial == signer.serial for intent in self._ledger.open_intents())

    def _keep(self, notes: RollbackNotes) -> None:
        """Keep notes; what cannot be written still counts until this server ends."""
        self._notes = notes
        try:
            self._file.write(notes)
        except AtcaProvError as error:
            self._log.error(str(error))


def _own(own: CheckpointFile, note: bytes, read: Callable[[bytes], LedgerCheckpoint]) -> LedgerCheckpoint:
    try:
        return read(note)
    except UsageError as error:
        raise UsageError(
            f"{own.path} is not a checkpoint of this server's log: {error.what}",
            advice="Put back the log key that belongs to this ledger. If the key or the file is lost, delete the file:"
            " then an older ledger is not noticed by it.",
            code=error.code,
        ) from error
