"""The interface of the ledger, wherever it is kept. SQL stays behind it.

Every method may raise AtcaProvError: RECORDS_FAILED after the first error, and from then on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from atcaprov.certs.issued_record import IssuedRecord
from provisioning_server.ledger.administration import CrlIssued, OrderOpened, Revoked, StationAdmitted, StationInvited
from provisioning_server.ledger.changes import Changes, Intent, Reported
from provisioning_server.records.signer_documents import SignerDocuments


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The log at a moment: number of entries, and the Merkle root over them (RFC 6962, 32 bytes)."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log this is: `ledger_id` 16 bytes, drawn when it was made; `epoch` from 1, one more after each rollback."""

    ledger_id: bytes
    epoch: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the log: its index from 0, its kind, and its bytes, of which the leaf hash is made."""

    index: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate in the ledger; `proven` is when its proof was seen, `fate` what was reported of its last run."""

    index: int
    record: IssuedRecord
    challenge: bytes
    proven: datetime | None
    fate: str
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True)
class Station:
    """A station's certificate; `removed` is the entry of its removal, None while it is admitted."""

    admitted: StationAdmitted
    removed: int | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation with its entry; `closed` is the one by which it was used or taken back, None while it is open."""

    invited: StationInvited
    index: int
    closed: int | None = None


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """A work order, and how many certificates were issued for it; `closed` is the entry that ended it."""

    opened: OrderOpened
    issued: int = 0
    closed: int | None = None


@dataclass(frozen=True, slots=True)
class SignerTally:
    """What the ledger has of a signer: certificates, lists of revoked ones, lost intents that used its counter.

    `accepted` is the sum of what was missing and accepted, without what was found again. Counter = first + issued +
    crls + lost + accepted, where `first` is from `CounterSeen`, unless the signer itself tells where its counter began.
    `unsure` is how many further losses there are of which is not known whether they used the counter.
    """

    issued: int
    crls: int
    lost: int
    accepted: int
    chip_serial: bytes
    time: datetime | None
    first: int | None = None
    unsure: int = 0

    @property
    def signatures(self) -> int:
        """Return how often the signer's key was used, as far as the ledger knows."""
        return self.issued + self.crls + self.lost + self.accepted


class Known(Protocol):
    """What is known of the chips and keys of a batch."""

    def of_chip(self, chip_serial: bytes) -> Sequence[StoredCertificate]:
        """Return the certificates of a chip, oldest first."""

    def chip_of(self, public_key: bytes) -> bytes | None:
        """Return the chip that a key (X||Y) was first certified for; None if it never was."""

    def chip_of_unit(self, product: str | None, unit: str) -> bytes | None:
        """Return the chip that has a certificate with a unit's name, which is not revoked; None if no chip has.

        `product` None: whatever the product is.
        """


def holder_of_unit(chips: Mapping[tuple[str, str], bytes], product: str | None, unit: str) -> bytes | None:
    """Return the chip of a product and a unit's name in a map, of any product if that is None."""
    if product is not None:
        return chips.get((product, unit))
    return next((chip for (_, name), chip in chips.items() if name == unit), None)


class Administered(Protocol):
    """What was decided about stations, work orders and revocations."""

    def newest(self) -> int:
        """Return the index of the newest administrative entry; -1 if there is none."""

    def stations(self) -> Sequence[Station]:
        """Return the certificates of all stations that ever were, oldest first."""

    def invitations(self) -> Sequence[Invitation]:
        """Return all invitations, oldest first."""

    def orders(self) -> Sequence[WorkOrder]:
        """Return all work orders, oldest first."""

    def order(self, name: str) -> WorkOrder | None:
        """Return the work order of a name; None if there never was one."""

    def revocations(self, signer_serial: bytes | None = None) -> Sequence[Revoked]:
        """Return what was revoked of a signer (9 bytes), or of all, oldest first."""

    def revocation(self, certificate_index: int) -> Revoked | None:
        """Return how a certificate was revoked, by its entry; None if it was not."""

    def newest_revocation(self, signer_serial: bytes) -> int:
        """Return the entry of the newest revocation of a signer (9 bytes); -1 if there is none."""

    def newest_crl(self, signer_serial: bytes) -> CrlIssued | None:
        """Return the newest list of a signer (9 bytes); None if it has signed none."""

    def newest_crls(self) -> Sequence[CrlIssued]:
        """Return the newest list of each signer that has signed one."""

    def unproven_and_revoked(self) -> tuple[int, int]:
        """Return how many certificates are not proven though they could be, and how many are revoked."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of a step: the new head, the index of its first entry, and the intents that were refused.

    An intent is refused when another one of its chip, key or unit is open, a certificate came in between, its unit's
    name belongs to another chip, or its work order is closed or full: look again.
    `repeated` are the places in `Changes.events` of reports and administrative events that were recorded before, by
    another server: no entry was made of them, and the entries of those behind them follow without a gap.
    """

    head: TreeHead
    first_index: int
    refused: Sequence[Intent]
    repeated: Collection[int] = ()


class Ledger(Protocol):
    """What the authority needs of a ledger. One thread writes; reading is allowed from any thread."""

    @property
    def failed(self) -> bool:
        """Return whether a step has failed since the start; then nothing is issued any more."""

    @property
    def newest(self) -> datetime | None:
        """The time of the newest record that counts against the clock."""

    @property
    def identity(self) -> LogIdentity:
        """Return which log this is."""

    def log_key(self) -> bytes:
        """Return the public key that signs its checkpoints, as in a verifier key; empty if there is none yet."""

    def claim_log_key(self, key: bytes) -> bytes:
        """Keep the public key that signs its checkpoints, if there is none yet; return the one that is kept."""

    def head(self) -> TreeHead:
        """Return the newest committed head."""

    @property
    def seen(self) -> TreeHead:
        """The newest head that this program has seen, also when the ledger has failed."""

    @property
    def administered(self) -> Administered:
        """Return what was decided about stations, work orders and revocations."""

    def known(
        self,
        chip_serials: Collection[bytes],
        public_keys: Collection[bytes],
        units: Collection[tuple[str, str]] = (),
    ) -> Known:
        """Look up the chips, keys and units (product and unit's name) of a batch at once."""

    def challenged(self, chip_serial: bytes, challenge: bytes) -> StoredCertificate | None:
        """Return the certificate of a chip that a challenge (32 bytes) was given for."""

    def reported(self, chip_serial: bytes, challenge: bytes) -> Reported | None:
        """Return the report of a chip that came with a challenge (32 bytes), the first one if there were several."""

    def unproven(self, before: datetime, start: int, count: int) -> Sequence[StoredCertificate]:
        """Return at most `count` certificates issued before a moment and not proven, from a log index on, oldest first.

        Records from before challenges were given are left out: no one can prove them.
        """

    def commit(self, changes: Changes) -> Committed:
        """Write a step durably: all of it, or raise and write nothing."""

    def open_intents(self, server: str | None = None) -> Sequence[Intent]:
        """Return the open intents, of one server or of all, oldest first."""

    def documents(self, document_id: str) -> SignerDocuments:
        """Return the signer documents that a record names."""

    def known_documents(self) -> Sequence[SignerDocuments]:
        """Return the signer documents that were kept, oldest first."""

    def tally(self, signer_serial: bytes) -> SignerTally | None:
        """Return what a signer (serial number, 9 bytes) has made; None if it is unknown."""

    def entries(self, start: int, count: int) -> Sequence[LogEntry]:
        """Return at most `count` entries from an index on."""

    def history(self, chip_serial: bytes) -> Sequence[LogEntry]:
        """Return the entries about a chip, oldest first: its certificates, reports and revocations, and those lost."""

    def fates(self) -> Mapping[str, int]:
        """Return of how many chips each fate was reported last; empty for those without a report."""

    def tile(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile (C2SP tlog-tiles), 32 bytes each, at most 256; the last one may be partial."""

    def has_room(self, entries: int = 0) -> bool:
        """Return whether there is room for more records, behind so many entries that are to be written now."""

    def claim(self, server: str, *, wait: bool = False) -> bool:
        """Take the name of a server until the end: only the holder writes for it. False if another program holds it.

        `wait`, some seconds at most, for one that is ending.
        """

    def release(self, server: str) -> None:
        """Give back a name that was taken."""

    def close(self) -> None:
        """Release it."""
