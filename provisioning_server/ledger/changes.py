"""What is written to a ledger, in one durable step: intents that open, and events, which become entries of the log.

An intent stands in the ledger before a signer sees its digest, and is removed in the step that records its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from atcaprov.certs.issued_record import NO_ORIGIN, IssuedRecord, Origin
from provisioning_server.ledger.administration import AdministrativeEvent
from provisioning_server.records.signer_documents import SignerDocuments

NO_CERTIFICATE: Final = -1
"""`Intent.last_index` for a chip without a certificate."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A certificate that is going to be signed. A chip and a key have at most one open intent in a ledger.

    `chip_serial` and `signer_serial` 9 bytes, `public_key` and `signer_key` 64 (X||Y); `unsigned` is the DER
    TBSCertificate that was checked; `documents` the id of the signer documents; `server` names the server that opened
    it; `last_index` is the log index of the chip's newest certificate when this was decided.

    With a `crl_number` it is a list of revoked certificates instead: chip and key are those of the signer itself,
    `unsigned` is the DER TBSCertList, and `last_index` the log index of the newest revocation in it.
    """

    chip_serial: bytes
    public_key: bytes
    signer_serial: bytes
    signer_key: bytes
    documents: str
    time: datetime
    unsigned: bytes
    server: str
    client: str = ""
    last_index: int = NO_CERTIFICATE
    origin: Origin = NO_ORIGIN
    crl_number: int = 0


@dataclass(frozen=True, slots=True)
class Issued:
    """An intent ended with a certificate. `challenge` (32 bytes) is sent with it; empty in records from before."""

    record: IssuedRecord
    challenge: bytes = b""


@dataclass(frozen=True, slots=True)
class Lost:
    """An intent ended without a certificate. `signed` says whether the signer's counter was used; None: unknown."""

    intent: Intent
    time: datetime
    signed: bool | None
    reason: str


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """One stage as a client reports it: its number from 1, a word such as `done`, how long it took."""

    stage: int
    outcome: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Reported:
    """What a client reports of the board that got a certificate.

    `certificate_index` is the entry of the certificate; `challenge` the one that was answered; `signature` (R||S) is
    empty if the chip signed nothing: then it is a report without a proof. `contents` is the SHA-256 of what was read
    back. `fate` is what became of the board, as in `atcaprov.errors.Board`.
    """

    certificate_index: int
    chip_serial: bytes
    challenge: bytes
    signature: bytes
    contents: bytes
    fate: str
    code: str
    stages: tuple[StageOutcome, ...]
    finished: datetime
    received: datetime
    client: str = ""
    station: str = ""
    request_id: bytes = b""

    @property
    def proven(self) -> bool:
        """Return whether it carries a proof, which was verified before."""
        return bool(self.signature)

    @property
    def sent(self) -> Reported:
        """Return it as the client sent it: it may come again, later, from another address or station."""
        return replace(self, received=self.finished, client="", station="", request_id=b"")


@dataclass(frozen=True, slots=True)
class ClockAccepted:
    """An operator said that the clock is right although records are newer."""

    time: datetime
    newest: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RollbackAccepted:
    """An operator said why the ledger is behind a signer or a checkpoint. The log goes on in its next epoch.

    `signer_serial` is empty for a checkpoint; `missing` is how many signatures have no entry; `checkpoint` is the
    signed note that is given up.
    """

    time: datetime
    reason: str
    signer_serial: bytes = b""
    missing: int = 0
    checkpoint: bytes = b""


@dataclass(frozen=True, slots=True)
class LossesSettled:
    """The counter of a signer told how many signatures its losses used of which that was not known (`signed` None)."""

    time: datetime
    signer_serial: bytes
    losses: int
    signatures: int


@dataclass(frozen=True, slots=True)
class CounterSeen:
    """A signer that does not tell where its counter began was seen for the first time.

    `value` is where the counter stood then, `first` where it stood before the signatures that the ledger has of it.
    """

    time: datetime
    signer_serial: bytes
    value: int
    first: int


@dataclass(frozen=True, slots=True)
class FolderImported:
    """The records of a data folder of an older version were taken over: SHA-256 (hex) and certificates of each log."""

    time: datetime
    logs: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class CertificatesRecovered:
    """The `count` certificates before this entry were lost, and found again on stations or in files, for a reason."""

    time: datetime
    reason: str
    count: int


Event = (
    Issued
    | Lost
    | Reported
    | ClockAccepted
    | RollbackAccepted
    | LossesSettled
    | CounterSeen
    | FolderImported
    | CertificatesRecovered
    | AdministrativeEvent
)


@dataclass(frozen=True, slots=True)
class GivenChallenge:
    """A fresh challenge (32 bytes) for a certificate that is sent again."""

    challenge: bytes
    certificate_index: int
    time: datetime


@dataclass(slots=True)
class Changes:
    """One durable step. All of it is written, or nothing; only refused intents, repeated reports and
    administrative events that change nothing are left out."""

    documents: list[SignerDocuments] = field(default_factory=list)
    challenges: list[GivenChallenge] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
