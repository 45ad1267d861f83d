"""The interface of the records, wherever they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from atcaprov.certs.issued_record import IssuedRecord
from provisioning_server.records.signer_documents import SignerDocuments


class Records(Protocol):
    """What the authority needs of a store. Every method may raise AtcaProvError RECORDS_FAILED."""

    @property
    def failed(self) -> bool:
        """Return whether a write has failed since the start; then nothing is issued any more."""

    @property
    def newest(self) -> datetime | None:
        """The time of the newest record that counts against the clock."""

    def has_room(self) -> bool:
        """Return whether there is room for more records."""

    def require_intact(self) -> None:
        """Raise unless the records are unchanged."""

    def find(self, chip_serial: bytes) -> list[IssuedRecord]:
        """Return the records of a chip, oldest first."""

    def chip_of(self, public_key: bytes) -> bytes | None:
        """Return the serial number of the chip that a key (X||Y) was first certified for, None if it never was."""

    def documents(self, document_id: str) -> SignerDocuments:
        """Return the signer documents that a record names."""

    def known_documents(self) -> Sequence[SignerDocuments]:
        """Return the signer documents that were kept, oldest first."""

    def keep_documents(self, documents: SignerDocuments) -> None:
        """Keep documents durably before a record names them."""

    def append(self, records: Sequence[IssuedRecord]) -> None:
        """Write records durably: all of them, or raise."""
