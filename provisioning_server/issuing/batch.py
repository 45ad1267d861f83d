"""What a batch of requests has issued before its records are written."""

from __future__ import annotations

from provisioning_server.records.signing_log import IssuedRecord


class Batch:
    """New records, found by chip and by key."""

    def __init__(self) -> None:
        self.records: list[IssuedRecord] = []
        self._of_chip: dict[bytes, list[IssuedRecord]] = {}
        self._chip_of: dict[bytes, bytes] = {}

    def add(self, record: IssuedRecord) -> None:
        """Take one in."""
        self.records.append(record)
        self._of_chip.setdefault(record.chip_serial, []).append(record)
        self._chip_of[record.public_key] = record.chip_serial

    def find(self, chip_serial: bytes) -> list[IssuedRecord]:
        """Return those of a chip, oldest first."""
        return self._of_chip.get(chip_serial, [])

    def chip_of(self, public_key: bytes) -> bytes | None:
        """Return the serial number of the chip that a key (X||Y) was certified for in this batch."""
        return self._chip_of.get(public_key)
