"""Find chips and keys that were certified twice, in a few bytes for each certificate."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from atcaprov.certs.issued_record import IssuedRecord
from provisioning_server.audit.findings import AuditReport

_PARTS: Final = 256
_DIGEST: Final = 8


class SeenValues:
    """A set of values that remembers 8 bytes of the SHA-256 of each, and tells which came more than once."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(_PARTS)]

    def add(self, value: bytes) -> None:
        """Take a value."""
        short = _short(value)
        self._parts[short % _PARTS].append(short)

    def repeated(self) -> frozenset[int]:
        """Return the short forms that came more than once."""
        return frozenset(short for part in self._parts for short in _repeated(part))


def _repeated(part: array[int]) -> Iterator[int]:
    values = sorted(part)
    for before, value in pairwise(values):
        if before == value:
            yield value


def _short(value: bytes) -> int:
    return int.from_bytes(hashlib.sha256(value).digest()[:_DIGEST], "big")


class TwiceCheck:
    """Takes all certificates once, then those again that came more than once, and judges them."""

    def __init__(self, report: AuditReport, *, allow_rekey: bool) -> None:
        self._report = report
        self._allow_rekey = allow_rekey
        self._chips, self._keys = SeenValues(), SeenValues()
        self._superseded: dict[int, int] = {}

    def take(self, record: IssuedRecord) -> None:
        """Remember the chip and the key of a certificate."""
        self._chips.add(record.chip_serial)
        self._keys.add(record.public_key)

    def take_superseded(self, index: int, certificate_index: int) -> None:
        """Remember that the certificate of an entry was revoked, at `index`, so that another one takes its place."""
        self._superseded[certificate_index] = index

    def judge(self, certificates: Callable[[], Iterator[tuple[int, IssuedRecord]]]) -> None:
        """Read the certificates once more if a chip or a key came twice, and record what is not allowed."""
        chips, keys = self._chips.repeated(), self._keys.repeated()
        of_chip: dict[bytes, tuple[int, IssuedRecord]] = {}
        of_key: dict[bytes, tuple[int, IssuedRecord]] = {}
        if not chips and not keys:
            return
        for index, record in certificates():
            if _short(record.public_key) in keys:
                first = of_key.setdefault(record.public_key, (index, record))
                self._judge_key(index, record, *first)
            if _short(record.chip_serial) in chips:
                before = of_chip.get(record.chip_serial)
                of_chip[record.chip_serial] = (index, record)
                if before is not None and not self._superseded.get(before[0], index) < index:
                    self._judge_chip(index, record, *before)

    def _judge_key(self, index: int, record: IssuedRecord, first: int, earlier: IssuedRecord) -> None:
        if record.chip_serial != earlier.chip_serial:
            self._report.find(
                "key-on-two-chips",
                f"The key of chip {record.chip_serial.hex().upper()} has a certificate for chip"
                f" {earlier.chip_serial.hex().upper()} in entry {first}.",
                index,
            )

    def _judge_chip(self, index: int, record: IssuedRecord, first: int, earlier: IssuedRecord) -> None:
        self._report.counts["further certificates of a chip"] += 1
        if record.public_key == earlier.public_key and earlier.time > record.time:
            return  # it was issued while the clock was ahead, and replaced
        if not self._allow_rekey:
            key = "the same key" if record.public_key == earlier.public_key else "another key"
            self._report.find(
                "chip-certified-twice",
                f"Chip {record.chip_serial.hex().upper()} has a certificate for {key} in entry {first}.",
                index,
            )
