"""The records of a data folder from before the ledger, in the order in which they count.

DATA/logs/signing-*.tsv     the signing logs, one file per start
DATA/clock-accepted.tsv     each accepted clock, before the records of the log that it names
DATA/signers/*.cbor         the signer documents that the records name
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import paths_in, read_bytes, status
from atcaprov.certs.issued_record import IssuedRecord, read_signing_log
from atcaprov.errors import Code, UsageError
from provisioning_server.folder_import.record_check import check_documents, check_record
from provisioning_server.ledger.changes import ClockAccepted, Issued
from provisioning_server.records import accepted_clocks
from provisioning_server.records.accepted_clocks import AcceptedClock
from provisioning_server.records.signer_documents import SignerDocuments

_DOCUMENT_ID: Final = re.compile("[0-9a-f]{64}")
_FIRST_RECORD: Final = 2
"""Line 1 is the header."""


ReadFile = tuple[str, str, int]
"""A file that was read: its name, the SHA-256 of its bytes (hex), and how many records it has."""


class OldRecords:
    """The records of one data folder. Nothing in it is changed."""

    def __init__(self, data: Path) -> None:
        """Look for the files, and read all but the signing logs.

        Raises:
            UsageError: FILE_UNREADABLE, or FILE_INVALID for damaged documents or accepted clocks.
        """
        self.data = data
        self._logs = paths_in(data / "logs", "signing-*.tsv")
        self._clocks = _accepted_clocks(data)
        self.documents = _documents(data / "signers")
        self.files: list[ReadFile] = []
        """What `events` has read to the end."""
        self.certificates = 0
        """How many `events` has found."""

    def events(self, *, verify: bool) -> Iterator[Issued | ClockAccepted]:
        """Yield what is recorded, oldest first; if `verify`, each certificate after it was checked.

        Raises:
            UsageError: FILE_INVALID or RECORD_MISSING with file and line.
        """
        self.files, self.certificates = [], 0
        clocks = list(self._clocks)
        for log in self._logs:
            while clocks and log.name >= clocks[0].signing_log:
                yield _event(clocks.pop(0))
            records = 0
            for record in self._records(log, verify=verify):
                records += 1
                yield Issued(record)
            self.files.append((log.name, _sha256(log), records))
            self.certificates += records
        yield from map(_event, clocks)
        if self._clocks:
            path = self.data / accepted_clocks.FILE_NAME
            self.files.append((path.name, _sha256(path), len(self._clocks)))

    def _records(self, log: Path, *, verify: bool) -> Iterator[IssuedRecord]:
        try:
            for number, (_, _, record) in enumerate(read_signing_log(log), start=_FIRST_RECORD):
                place = f"Line {number} of the signing log {log}"
                documents = self.documents.get(record.documents)
                if documents is None:
                    raise _missing_documents(place, self.data / "signers" / f"{record.documents}.cbor")
                if verify:
                    check_record(record, documents, place)
                yield record
        except OSError as error:
            raise UsageError(f"{log} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE) from error


def holds_records(data: Path) -> bool:
    """Tell whether a folder has records of an older version; raises UsageError FILE_UNREADABLE."""
    return bool(
        paths_in(data / "logs", "signing-*.tsv")
        or paths_in(data / "signers", "*.cbor")
        or paths_in(data / "certs", "*.pem")
        or status(data / accepted_clocks.FILE_NAME)
    )


def _accepted_clocks(data: Path) -> list[AcceptedClock]:
    try:
        return accepted_clocks.all_accepted(data)
    except OSError as error:
        path = data / accepted_clocks.FILE_NAME
        raise UsageError(f"{path} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE) from error


def _documents(folder: Path) -> dict[str, SignerDocuments]:
    """Return the documents of all signers, also of those that clients named while others signed; oldest first."""
    paths = [path for path in paths_in(folder, "*.cbor") if _DOCUMENT_ID.fullmatch(path.stem)]
    return {path.stem: _read_documents(path) for path in sorted(paths, key=_written)}


def _written(path: Path) -> int:
    found = status(path)
    return found.st_mtime_ns if found is not None else 0


def _read_documents(path: Path) -> SignerDocuments:
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != path.stem:
        raise UsageError(
            f"The signer documents {path} are damaged or were changed.",
            advice="Restore the file from a backup.",
            code=Code.FILE_INVALID,
        )
    documents = SignerDocuments.from_bytes(data)
    check_documents(documents, path)
    return documents


def _event(clock: AcceptedClock) -> ClockAccepted:
    return ClockAccepted(clock.time, clock.newest_record, clock.reason)


def _missing_documents(place: str, path: Path) -> UsageError:
    return UsageError(
        f"{place} was issued with signer documents that are missing: {path}.",
        advice="Restore the file from a backup.",
        code=Code.RECORD_MISSING,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
