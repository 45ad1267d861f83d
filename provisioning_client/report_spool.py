"""Reports that wait on this station until the server has recorded them: one file each, over restarts and power cuts.

    DIR/PRODUCT-FINISHED-CHIP-CHALLENGE.json    waits
    DIR/...json.damaged, ...json.refused        set aside, never sent again
    DIR/recorded/...json                        recorded by the server; the newest are kept for the day on which a
                                                server loses its ledger

PRODUCT is the beginning of the SHA-256 of the product's root key, so that one folder serves several products. Several
clients may use a folder at once: the server records a report that comes twice only once.
"""

from __future__ import annotations

import errno
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import paths_in, read_bytes
from atcaprov.errors import Board, Code, UsageError
from atcaprov.provisioning.board_report import FILE_SIZE_MAX, BoardReport

FILES_MAX: Final = 10_000
"""Files in the folder, waiting or set aside; with more, no further board is begun."""
RECORDED_MAX: Final = 10_000
DAMAGED: Final = ".damaged"
REFUSED: Final = ".refused"
_RECORDED: Final = "recorded"
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC})


class ReportSpool:
    """The reports on boards of one product, named by its root's public key (X||Y), in a folder of this station."""

    def __init__(self, folder: Path, root_public_key: bytes) -> None:
        self.folder = folder
        self.kept = 0
        """How many reports were kept since the start."""
        self._product = hashlib.sha256(root_public_key).hexdigest()[:8]

    def require_ready(self) -> None:
        """Make the folder, and check that it takes further reports.

        Raises:
            UsageError: it cannot be written (FILE_UNWRITABLE), or too many files are in it (REPORTS_FULL).
        """
        try:
            self._make_folder(self.folder)
            files = len(os.listdir(self.folder))  # noqa: PTH208 - names only
            writable = os.access(self.folder, os.W_OK | os.X_OK)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        if not writable:
            raise self._unwritable("no permission to write there")
        if files >= FILES_MAX:
            raise UsageError(
                f"{files:,} reports wait in {self.folder}, and no more than {FILES_MAX:,} may.",
                advice="No chip was touched. See in the server's program log why it does not take them.",
                code=Code.REPORTS_FULL,
                board=Board.UNTOUCHED,
            )

    def keep(self, report: BoardReport) -> None:
        """Write a report; when this returns it is on the disk.

        Raises:
            UsageError: it cannot be written (DISK_FULL or FILE_UNWRITABLE).
        """
        try:
            self._make_folder(self.folder)
            durable_files.replace(self.folder / self._name(report), report.to_bytes(), _FILE_MODE)
        except OSError as error:
            raise UsageError(
                f"The report on chip {report.serial_number.hex().upper()} cannot be kept in {self.folder}:"
                f" {error.strerror or error}.",
                advice="The board is not affected. Start it again when the folder can be written: then it is reported.",
                code=Code.DISK_FULL if error.errno in _FULL else Code.FILE_UNWRITABLE,
            ) from error
        self.kept += 1

    def waiting(self) -> list[Path]:
        """Return the files of the reports that wait, the oldest first; raises UsageError (FILE_UNREADABLE)."""
        return paths_in(self.folder, f"{self._product}-*.json")

    def read(self, path: Path) -> BoardReport:
        """Read a report that waits.

        Raises:
            UsageError: it is damaged (FILE_INVALID), or cannot be read, or is gone (FILE_UNREADABLE).
        """
        return BoardReport.from_bytes(read_bytes(path, FILE_SIZE_MAX))

    def recorded(self, path: Path) -> None:
        """Take a report out that the server has recorded; another client may have done so."""
        folder = self.folder / _RECORDED
        try:
            self._make_folder(folder)
            path.replace(folder / path.name)
        except OSError:
            path.unlink(missing_ok=True)  # a full disk takes no new name, but gives up an old one
        old = paths_in(folder, "*.json")[:-RECORDED_MAX]
        for surplus in old:
            surplus.unlink(missing_ok=True)

    def set_aside(self, path: Path, ending: str) -> Path:
        """Rename a report that is never to be sent again; return its new path. Raises OSError."""
        aside = path.with_name(path.name + ending)
        path.replace(aside)
        return aside

    def _name(self, report: BoardReport) -> str:
        finished = datetime.fromtimestamp(report.request.finished, UTC)
        chip, challenge = report.serial_number.hex().upper(), report.request.challenge[:4].hex()
        return f"{self._product}-{finished:%Y%m%dT%H%M%SZ}-{chip}-{challenge}.json"

    @staticmethod
    def _make_folder(folder: Path) -> None:
        if not folder.is_dir():
            ReportSpool._make_folder(folder.parent)
            folder.mkdir(_FOLDER_MODE, exist_ok=True)
            durable_files.sync_folder(folder.parent)

    def _unwritable(self, reason: str) -> UsageError:
        return UsageError(
            f"The reports on boards cannot be kept in {self.folder}: {reason}.",
            advice="No chip was touched. Give the user of this program the permission, or name another folder with"
            " --reports.",
            code=Code.FILE_UNWRITABLE,
            board=Board.UNTOUCHED,
        )
