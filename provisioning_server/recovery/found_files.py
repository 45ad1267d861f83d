"""Read the files in which certificates are found again: reports of stations, signing logs, certificates in PEM.

*.json              a report that a station has kept, waiting or recorded
signing-*.tsv       a signing log of the lost machine
SN_device.pem       a device certificate, named by its chip as in `certs/`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import is_folder, read_bytes, status
from atcaprov.certs.certificate_files import read_certificate
from atcaprov.certs.issued_record import IssuedRecord, read_signing_log
from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.provisioning.board_report import FILE_SIZE_MAX, BoardReport
from atcaprov.wire.messages import ReportRequest
from provisioning_server.guide_files.progress import FILE_NAME as PROGRESS_FILE
from provisioning_server.ledger.sql.sql_ledger import SqlLedger

_LOOKED_UP: Final = 1000
"""Lines of a signing log that are looked up at once."""
_PEM: Final = re.compile(r"([0-9A-F]{18})(?:-\d+)?_device\.pem")


@dataclass(slots=True)
class FoundCertificate:
    """A certificate (DER) of a chip (9 bytes), where it was found first, and what else was found of it."""

    certificate: bytes
    chip_serial: bytes
    place: str
    record: IssuedRecord | None = None
    """As a signing log has it."""
    reports: dict[ReportRequest, str] = field(default_factory=dict)
    """The reports, and where each was found."""


class FoundFiles:
    """What the files have, by certificate, and why some of them have nothing.

    Of signing logs, which may have millions of lines, only what a ledger lacks is kept.
    """

    def __init__(self, ledger: SqlLedger) -> None:
        self.certificates: dict[bytes, FoundCertificate] = {}
        self.unreadable: list[str] = []
        self.known = 0
        """Lines of signing logs whose certificates the ledger has."""
        self._ledger = ledger
        self._challenged: dict[bytes, FoundCertificate] = {}
        """A server gives each challenge for one certificate."""

    def read(self, paths: Iterable[Path]) -> None:
        """Read files, and in folders all files of the three kinds; a file without a use is noted, not raised.

        Raises:
            UsageError: a path that is given does not exist (FILE_UNREADABLE).
        """
        given = list(paths)
        for path in given:
            if status(path) is None:
                raise UsageError(f"{path} does not exist.", code=Code.FILE_UNREADABLE)
        for path in given:
            for file in _files(path):
                try:
                    self._read(file)
                except (AtcaProvError, OSError) as error:
                    what = error.what if isinstance(error, AtcaProvError) else f"it cannot be read: {error.strerror}."
                    self.unreadable.append(f"{file}: {what}")

    def _read(self, path: Path) -> None:
        if path.suffix == ".json":
            self._add_report(BoardReport.from_bytes(read_bytes(path, FILE_SIZE_MAX)), path)
        elif path.suffix == ".tsv":
            self._read_log(path)
        else:
            name = _PEM.fullmatch(path.name)
            if name is None:
                raise UsageError("Name a certificate by its chip, such as 01234038D92CA571EE_device.pem.")
            self._of(read_certificate(path), bytes.fromhex(name[1]), f"The certificate {path}")

    def _read_log(self, path: Path) -> None:
        lines = enumerate((record for _, _, record in read_signing_log(path)), start=2)
        while batch := list(islice(lines, _LOOKED_UP)):
            known = self._ledger.known({record.chip_serial for _, record in batch}, ())
            for number, record in batch:
                if any(each.record.certificate == record.certificate for each in known.of_chip(record.chip_serial)):
                    self.known += 1
                else:
                    place = f"Line {number} of the signing log {path}"
                    self._of(record.certificate, record.chip_serial, place).record = record

    def _add_report(self, report: BoardReport, path: Path) -> None:
        found = self._of(report.certificate, report.serial_number, f"The report {path}")
        other = self._challenged.setdefault(report.request.challenge, found)
        if other is not found:
            raise UsageError(f"Its challenge is that of a report on another certificate; {other.place} came first.")
        found.reports.setdefault(report.request, f"The report {path}")

    def _of(self, certificate: bytes, chip_serial: bytes, place: str) -> FoundCertificate:
        found = self.certificates.setdefault(certificate, FoundCertificate(certificate, chip_serial, place))
        if found.chip_serial != chip_serial:
            raise UsageError(f"{place} names another chip than {found.place}.", code=Code.FILE_INVALID)
        return found


def _files(path: Path) -> Iterator[Path]:
    if not is_folder(path):
        yield path
        return
    for pattern in ("*.json", "signing-*.tsv", "*_device.pem"):
        yield from (file for file in sorted(path.rglob(pattern)) if file.name != PROGRESS_FILE)
