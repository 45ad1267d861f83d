"""What is being issued and is not on the disk yet: records of a batch, and requests that wait for slow signers."""

from __future__ import annotations

from atcaprov.certs.issued_record import IssuedRecord
from provisioning_server.issuing.requests import PendingReply


class Batch:
    """The records that a batch of requests has made, found by chip and by key, before they are written."""

    def __init__(self) -> None:
        self.records: list[IssuedRecord] = []
        self._of_chip: dict[bytes, list[IssuedRecord]] = {}
        self._chip_of: dict[bytes, bytes] = {}

    def add(self, record: IssuedRecord) -> None:
        """Add a record."""
        self.records.append(record)
        self._of_chip.setdefault(record.chip_serial, []).append(record)
        self._chip_of[record.public_key] = record.chip_serial

    def find(self, chip_serial: bytes) -> list[IssuedRecord]:
        """Return the records of a chip, oldest first."""
        return self._of_chip.get(chip_serial, [])

    def chip_of(self, public_key: bytes) -> bytes | None:
        """Return the serial number of the chip that a key (X||Y) was certified for in this batch."""
        return self._chip_of.get(public_key)


class PendingReplies:
    """The requests that wait for slow signers, by chip: the one that is being signed, then those behind it."""

    def __init__(self) -> None:
        self._of_chip: dict[bytes, list[PendingReply]] = {}

    def __contains__(self, chip_serial: bytes) -> bool:
        return chip_serial in self._of_chip

    def add(self, chip_serial: bytes, pending: PendingReply) -> None:
        """Add a request behind all others of its chip."""
        self._of_chip.setdefault(chip_serial, []).append(pending)

    def pop(self, chip_serial: bytes) -> tuple[PendingReply, list[PendingReply]]:
        """Remove and return the request that was being signed for a chip, and those behind it."""
        first, *behind = self._of_chip.pop(chip_serial)
        return first, behind

    def signed_for_another(self, public_key: bytes, chip_serial: bytes) -> bool:
        """Return whether a key (X||Y) is being certified for another chip."""
        chips = (chip for chip, waiting in self._of_chip.items() if waiting[0].request.public_key == public_key)
        return any(chip != chip_serial for chip in chips)
