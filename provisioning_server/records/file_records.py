"""The records on the disk: which certificate was issued for which chip, over all starts of the server.

    data/logs/signing-*.tsv     the signing logs: the record itself, one file per start
    data/signers/*.cbor         the signer documents that the records name
    data/certs/*.pem            full certificates, made from the records

After the first I/O error nothing more is written until the server is started again: a disk that lost one record may
lose the next one too. The same holds when a signing log was moved or changed: without it nothing
proves that its chips have their certificates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from atcaprov import durable_files
from atcaprov.bounded_reading import paths_in
from atcaprov.certs.issued_record import IssuedRecord, read_signing_log
from atcaprov.errors import AtcaProvError, Code, UsageError
from provisioning_server.records.accepted_clocks import AcceptedClock, accept, last_accepted
from provisioning_server.records.certificate_files import CertificateFiles
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.records.signing_log import FileState, SigningLog

ROOM_MIN: Final = 16 * 1024 * 1024
"""Bytes that the disk must still take before a client is told to begin with a chip; a certificate takes about 5,000."""
_MODE: Final = 0o640
_DOCUMENT_ID: Final = re.compile("[0-9a-f]{64}")


class _RecordPlace(NamedTuple):
    """The place of a record: number of its signing log, byte offset and size."""

    log: int
    offset: int
    size: int


class Tally(NamedTuple):
    """What a signer has certified: how many certificates, and the last one's chip and time (UTC)."""

    issued: int
    chip_serial: bytes
    time: datetime


class FileRecords:
    """Records in the files of a data folder. One thread writes; only one server may have the folder open."""

    def __init__(self, data: Path, log_path: Path) -> None:
        """Read what earlier starts issued and begin the signing log of this one.

        Raises:
            UsageError: FILE_INVALID for damaged records, RECORD_MISSING when a certificate file has no record.
            AtcaProvError: RECORDS_FAILED if the folder cannot be read or written.
        """
        self.failed = False
        self.restored_files = 0
        self.newest: datetime | None = None
        """The time of the newest record, or of the clock that was accepted after it; None if there is neither."""
        self._data = data
        self._tallies: dict[bytes, Tally] = {}  # by serial number of the signer
        self._chips: dict[bytes, bytes] = {}  # by public key
        self._places: dict[bytes, tuple[_RecordPlace, ...]] = {}
        self._documents: dict[str, SignerDocuments] = {}
        self._documents_folder = data / "signers"
        try:
            for folder in (log_path.parent, self._documents_folder, data / "certs"):
                folder.mkdir(parents=True, exist_ok=True)
            self._files = CertificateFiles(data / "certs")
            self._logs = paths_in(log_path.parent, "signing-*.tsv")
            self._states = [FileState.of(path) for path in self._logs]
            self._load_all_documents()
            self._accepted = last_accepted(data)
            self._read_earlier()
            self._require_recorded(data)
            self._log = SigningLog.create(log_path)
            self._states.append(FileState.of(log_path))
        except OSError as error:
            raise self._fail(error) from error
        self._logs.append(log_path)

    def tally(self, signer_serial: bytes) -> Tally | None:
        """Return what a signer (serial number, 9 bytes) has certified over all starts; from any thread."""
        return self._tallies.get(signer_serial)

    def find(self, chip_serial: bytes) -> list[IssuedRecord]:
        """Return the records of a chip, oldest first."""
        return [self._read(place) for place in self._places.get(chip_serial, ())]

    def chip_of(self, public_key: bytes) -> bytes | None:
        """Return the serial number of the chip that a key (X||Y) was first certified for, None if it never was."""
        return self._chips.get(public_key)

    def documents(self, document_id: str) -> SignerDocuments:
        """Return the signer documents that a record names."""
        return self._documents[document_id]

    def known_documents(self) -> list[SignerDocuments]:
        """Return all signer documents in the folder, oldest first."""
        return list(self._documents.values())

    def keep_documents(self, documents: SignerDocuments) -> None:
        """Write a signer's documents to the disk, before the first record names them; raises RECORDS_FAILED."""
        if documents.document_id in self._documents:
            return
        try:
            durable_files.replace(self._documents_folder / f"{documents.document_id}.cbor", documents.to_bytes(), _MODE)
        except OSError as error:
            raise self._fail(error) from error
        self._documents[documents.document_id] = documents

    def append(self, records: Sequence[IssuedRecord]) -> None:
        """Write records durably, with one sync for all; after that their certificates may be sent.

        Raises:
            AtcaProvError: RECORDS_FAILED. None of the certificates may be sent then.
        """
        self.require_intact()
        try:
            places = self._log.append(records)
            self._states[-1] = self._states[-1]._replace(size=self._log.size)
            self.require_intact()  # before their certificates are sent: a log that was moved in between is not a record
            for record, (offset, size) in zip(records, places, strict=True):
                self._index(record, _RecordPlace(len(self._logs) - 1, offset, size))
                self._write_file(record)
        except OSError as error:
            raise self._fail(error) from error

    def accept_clock(self, now: datetime, reason: str) -> None:
        """Stop counting the present records against a clock that says `now` (UTC), durably; set `newest`.

        Raises:
            AtcaProvError: RECORDS_FAILED.
        """
        assert self.newest is not None
        try:
            accept(self._data, AcceptedClock(now, self.newest, self._logs[-1].name, reason))
        except OSError as error:
            raise self._fail(error) from error
        self.newest = now

    def has_room(self) -> bool:
        """Return whether the disk takes ROOM_MIN more bytes; True if the system cannot tell."""
        try:
            free = durable_files.free_bytes(self._data)
        except OSError:
            return True  # `require_intact` and the next write say what is wrong with the folder
        return free is None or free >= ROOM_MIN

    def require_intact(self) -> None:
        """Raise AtcaProvError RECORDS_FAILED unless every signing log is in its place and unchanged."""
        if self.failed:
            raise self._failure("an earlier write failed")
        for path, state in zip(self._logs, self._states, strict=True):
            try:
                same = FileState.of(path) == state
            except FileNotFoundError:
                same = False
            except OSError as error:
                raise self._fail(error) from error
            if not same:
                raise self._moved(path)

    def close(self) -> None:
        """Close the signing log."""
        self._log.close()

    def _read_earlier(self) -> None:
        accepted = self._accepted
        for number, path in enumerate(self._logs):
            if accepted is not None and path.name >= accepted.signing_log:
                self.newest, accepted = accepted.time, None
            for offset, size, record in read_signing_log(path):
                self._index(record, _RecordPlace(number, offset, size))
                signer = self._load_documents(record.documents).signer_certificate
                self.restored_files += self._files.restore(record, len(self._places[record.chip_serial]), signer)
        if accepted is not None:
            self.newest = accepted.time

    def _require_recorded(self, data: Path) -> None:
        """Refuse certificate files without a record: a signing log was lost."""
        names = self._files.unrecorded()
        if names:
            raise UsageError(
                f"{len(names)} certificate files in {data / 'certs'} have no record, the first is {names[0]}: a signing"
                " log was moved, removed or cut off.",
                advice=f"Put the signing logs back into {data / 'logs'}. If they are permanently lost, rename the"
                " folder certs: their chips can then get other certificates.",
                code=Code.RECORD_MISSING,
            )

    def _load_all_documents(self) -> None:
        """Load all documents, also those of signers that clients named while others of their group signed."""
        files = [path for path in paths_in(self._documents_folder, "*.cbor") if _DOCUMENT_ID.fullmatch(path.stem)]
        for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
            self._load_documents(path.stem)

    def _load_documents(self, document_id: str) -> SignerDocuments:
        found = self._documents.get(document_id)
        if found is None:
            found = SignerDocuments.from_bytes((self._documents_folder / f"{document_id}.cbor").read_bytes())
            if found.document_id != document_id:
                raise UsageError(
                    f"The signer documents {document_id} in {self._documents_folder} were changed.",
                    advice="Restore the file from a backup.",
                    code=Code.FILE_INVALID,
                )
            self._documents[document_id] = found
        return found

    def _index(self, record: IssuedRecord, place: _RecordPlace) -> None:
        self._places[record.chip_serial] = (*self._places.get(record.chip_serial, ()), place)
        self._chips.setdefault(record.public_key, record.chip_serial)
        before = self._tallies.get(record.signer_serial)
        issued = before.issued + 1 if before else 1
        self._tallies[record.signer_serial] = Tally(issued, record.chip_serial, record.time)
        self.newest = record.time if self.newest is None else max(self.newest, record.time)

    def _write_file(self, record: IssuedRecord) -> None:
        signer = self._documents[record.documents].signer_certificate
        self._files.write(record, len(self._places[record.chip_serial]), signer)

    def _read(self, place: _RecordPlace) -> IssuedRecord:
        try:
            with self._logs[place.log].open("rb") as file:
                file.seek(place.offset)
                return IssuedRecord.from_line(file.read(place.size))
        except (OSError, ValueError) as error:
            raise self._fail(error) from error

    def _fail(self, error: OSError | ValueError) -> AtcaProvError:
        self.failed = True
        return self._failure(getattr(error, "strerror", None) or str(error))

    def _moved(self, path: Path) -> AtcaProvError:
        self.failed = True
        return AtcaProvError(
            f"The signing log {path} was moved, removed or changed while the server runs.",
            advice="No certificate is issued. Put it back as it was, then start the server again.",
            code=Code.RECORDS_FAILED,
        )

    @staticmethod
    def _failure(reason: str) -> AtcaProvError:
        return AtcaProvError(
            f"The records of the server cannot be read or written: {reason}.",
            advice="No certificate is issued. Make room or repair the disk, then start the server again.",
            code=Code.RECORDS_FAILED,
        )
