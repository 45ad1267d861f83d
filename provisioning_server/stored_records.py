"""What a start finds in its data folder: a ledger, records of an older version, or nothing; and the guide's files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from atcaprov.bounded_reading import status
from atcaprov.errors import Code, UsageError
from atcaprov.log import Log
from provisioning_server.folder_import.import_folder import import_folder, needs_import
from provisioning_server.folder_import.old_records import holds_records
from provisioning_server.guide_files.guide_files import GuideFiles
from provisioning_server.guide_files.writer import GuideFilesWriter
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.records.server_id import FILE_NAME as SERVER_ID_FILE


def open_or_import(folder: DataFolder, now: datetime, log: Log, url: PostgresqlUrl | None = None) -> SqlLedger:
    """Open the ledger of a data folder, or the one in a database; make it from older records, or an empty one.

    Raises:
        UsageError: LEDGER_INVALID if there is a database, and the folder has a ledger or older records of its own.
        UsageError: RECORD_MISSING if there was a ledger, and it is gone; and as `import_folder`, `open_ledger`.
        AtcaProvError: RECORDS_FAILED.
    """
    path = folder.path / FILE_NAME
    if url is not None:
        _require_none(folder, path)
        return open_ledger(url, now)
    if needs_import(folder.path):
        log.info("Importing the records of an older version; 150,000 certificates take about a minute.")
        imported = import_folder(folder.path, now)
        log.info(f"The records of {imported.certificates} certificates were imported into the new ledger {path}.")
    return open_ledger(path, now)


def _require_none(folder: DataFolder, path: Path) -> None:
    """Raise UsageError if a server with a ledger in a database has records that would not be in it."""
    served = status(folder.path / SERVER_ID_FILE) is not None
    if status(path) is not None or (not served and holds_records(folder.path)):
        raise UsageError(
            f"The data folder {folder.path} has records of its own, which are not in the database of --ledger.",
            advice="Choose another folder with --data; keep this one, and serve its chips without --ledger.",
            code=Code.LEDGER_INVALID,
        )


def guide_files_writer(folder: DataFolder, ledger: Ledger, log: Log) -> GuideFilesWriter:
    """Return the writer of the guide's files, which does not run yet.

    Raises:
        UsageError: RECORD_MISSING if the files show that the ledger is older than they are; FILE_UNREADABLE.
    """
    try:
        return GuideFilesWriter(GuideFiles(folder, ledger, log), ledger, log)
    except OSError as error:
        raise UsageError(
            f"The folder {folder.logs} cannot be read: {error.strerror}.",
            advice="Check the permissions of the data folder.",
            code=Code.FILE_UNREADABLE,
        ) from error
