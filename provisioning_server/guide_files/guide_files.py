"""Writes the guide's files from the ledger: what was missed first, then what comes. Used by one thread at a time.

New signer documents go into `signers/`, the certificates of a block into `certs/`, then into the program log, and last
into the signing log: a line there says that all of it is written.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from atcaprov import durable_files
from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.log import Log
from provisioning_server.guide_files.certificate_files import CertificateFiles
from provisioning_server.guide_files.earlier_files import earlier_program_logs, find
from provisioning_server.guide_files.issued_entries import IssuedEntries, IssuedEntry
from provisioning_server.guide_files.progress import Progress
from provisioning_server.guide_files.signing_log import SigningLog
from provisioning_server.ledger.store import Ledger
from provisioning_server.log_names import certified_text
from provisioning_server.records.data_folder import DataFolder

SETTLED_SECONDS: Final = 60.0
"""After this time a system has written a file to the disk (Linux: 30 s, and 5 s for the journal)."""
_MODE: Final = 0o640


class GuideFiles:
    """The signing log of this start, the certificate files, and the lines of the program log."""

    def __init__(self, folder: DataFolder, ledger: Ledger, log: Log, now: Callable[[], float] = time.monotonic) -> None:
        """Look at what earlier starts wrote.

        Raises:
            UsageError: RECORD_MISSING if they show that the ledger is older than they are.
            OSError: they cannot be read.
        """
        self._folder = folder
        self._ledger = ledger
        self._log = log
        self._now = now
        self._entries = IssuedEntries(ledger)
        found = find(folder.logs, folder.certs, ledger)
        self.next = found.next
        """The first entry of the log that is not written."""
        self._to_compare = found.unsettled
        self._unsettled = deque([(now(), found.unsettled)])
        self._earlier_end = ledger.head().size
        self._said = found.next
        self._synced = -1
        self._earlier_logs = earlier_program_logs(folder.logs)
        self._certificate_files = CertificateFiles(folder.certs)
        self._signing_log: SigningLog | None = None
        self._signers: dict[str, bytes] = {}  # certificates by the id of the documents

    def write_missed(self, end: int, stopped: Callable[[], bool] = lambda: False) -> int:
        """Write what the ledger has before the index `end` and the files lack, until `stopped`.

        Returns the number of certificates. Raises OSError, and can be called again then.
        """
        written = 0
        self._folder.certs.mkdir(exist_ok=True)
        signing_log = self._opened()
        for after, block in self._entries.blocks(self._to_compare, self.next):
            if stopped():
                return written
            self._restore(block)
            self._to_compare = after
        for after, block in self._entries.blocks(self.next, end):
            self._restore(block)
            self._say(block)
            signing_log.append(entry.record for entry in block)
            self.next = self._to_compare = after
            written += len(block)
            if stopped():
                break
        return written

    def write_new(self, entries: Sequence[IssuedEntry], end: int) -> None:
        """Write the certificates of the entries from `next` to before `end`; raises OSError.

        After an error `write_missed` goes on.
        """
        for entry, number in zip(entries, self._entries.numbers(entries), strict=True):
            self._certificate_files.write(entry.record, number, self._signer_certificate(entry.record))
        self._say(entries)
        self._opened().append(entry.record for entry in entries)
        self.next = self._to_compare = end

    def sync(self) -> None:
        """Bring the signing log to the disk and keep how far it is; raises OSError."""
        if self._signing_log is None or self.next == self._synced:
            return
        self._signing_log.sync()
        now = self._now()
        self._unsettled.append((now, self.next))
        while len(self._unsettled) > 1 and self._unsettled[1][0] <= now - SETTLED_SECONDS:
            self._unsettled.popleft()
        identity = self._ledger.identity
        Progress(
            ledger=identity.ledger_id.hex(),
            epoch=identity.epoch,
            next=self.next,
            unsettled=min(self._unsettled[0][1], self._to_compare),
            signing_log=self._signing_log.path.name,
            size=self._signing_log.size,
        ).write(self._folder.logs)
        self._synced = self.next

    def close(self) -> None:
        """Close the signing log."""
        if self._signing_log is not None:
            self._signing_log.close()

    def _opened(self) -> SigningLog:
        if self._signing_log is None:
            self._signing_log = SigningLog.create(self._folder.signing_log())
        return self._signing_log

    def _restore(self, block: Sequence[IssuedEntry]) -> None:
        for entry, number in zip(block, self._entries.numbers(block), strict=True):
            self._certificate_files.restore(entry.record, number, self._signer_certificate(entry.record))

    def _signer_certificate(self, record: IssuedRecord) -> bytes:
        """Return the certificate of a record's signer, whose documents are kept in a file before a line names them."""
        found = self._signers.get(record.documents)
        if found is None:
            documents = self._entries.documents(record)
            path = self._folder.signers / f"{record.documents}.cbor"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                durable_files.replace(path, documents.to_bytes(), _MODE)
            found = self._signers[record.documents] = documents.signer_certificate
        return found

    def _say(self, entries: Sequence[IssuedEntry]) -> None:
        """Log each certificate, unless the start that issued it did so."""
        for entry in entries:
            if entry.index < self._said:  # before a full disk
                continue
            text = certified_text(entry.record)
            if entry.index >= self._earlier_end or text not in self._earlier_logs:
                self._log.info(text)
            self._said = entry.index + 1
