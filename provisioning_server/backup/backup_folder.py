"""A backup: a folder with the ledger, a checkpoint of it, what else a server needs, and the digests of all.

    ledger-20261121-103015/
        ledger.sqlite3      the ledger, with signer documents
        checkpoint.txt      its head, signed by the key of the log; if the ledger has such a key
        server-id           the name of the server
        modules/SN.txt      what is pinned of signer modules
        log-key.pem         the key of the log, only if it was asked for
        stations/station-ca.pem  the key and certificate of the station CA, only if it was asked for
        SHA256SUMS          digests of all these files

It gets its name when it is complete: what was cut before has another one.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import is_file, read_bytes
from atcaprov.errors import Code, UsageError
from atcaprov.transparency.checkpoint import SignedCheckpoint
from provisioning_server.audit.log_key import KEY_FILE
from provisioning_server.audit.log_signer import origin_of, verifier_key_of
from provisioning_server.backup import sums_file
from provisioning_server.backup.whole_log import WholeLog, read_whole_log
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger, open_unchanging
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import LogIdentity
from provisioning_server.records.data_folder import STATION_CA, STATIONS

CHECKPOINT: Final = "checkpoint.txt"
SERVER_ID: Final = "server-id"
PINS: Final = "modules"
CA_FILE: Final = f"{STATIONS}/{STATION_CA}"
PRIVATE: Final = (KEY_FILE, CA_FILE)
"""Files for their owner only, which are in a backup only if they are asked for."""
COMPLETE: Final = re.compile(r"ledger-\d{8}-\d{6}(?:_\d{4,})?", re.ASCII)
UNFINISHED: Final = ".unfinished"
"""End of the name of a folder that is being made, or removed."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was checked: its folder, the digests of its files, which log it is of, and what is in it."""

    path: Path
    sums: Mapping[str, str]
    identity: LogIdentity
    log: WholeLog
    lacks_log_key: bool
    """The log has a key, which is not in the backup."""
    lacks_station_ca: bool
    """Stations are admitted, and the CA that they know is not in the backup."""


def read_backup(path: Path) -> Backup:
    """Check a backup completely: the digests, the log from its entries, and the checkpoint.

    Raises:
        UsageError: FILE_UNREADABLE, FILE_INVALID, LOG_MISMATCH or LOG_INVALID.
        AtcaProvError: RECORDS_FAILED if SQLite cannot read it.
    """
    if not is_file(path / sums_file.NAME):
        raise UsageError(
            f"{path} is not a complete backup: it has no {sums_file.NAME}.",
            advice="Name the folder of a backup, such as backups/ledger-20261121-103015.",
            code=Code.FILE_INVALID,
        )
    sums = sums_file.read_sums(path)
    if FILE_NAME not in sums:
        raise UsageError(f"{path} has no ledger.", advice="Take another backup.", code=Code.FILE_INVALID)
    sums_file.check_sums(path, sums)
    with opened_copy(path) as ledger:
        log = read_whole_log(ledger, f"The ledger in {path}")
        if CHECKPOINT in sums:
            _check_checkpoint(path / CHECKPOINT, ledger, log)
        has_stations = any(each.removed is None for each in ledger.administered.stations())
        return Backup(
            path,
            sums,
            ledger.identity,
            log,
            lacks_log_key=bool(ledger.log_key()) and KEY_FILE not in sums,
            lacks_station_ca=has_stations and CA_FILE not in sums,
        )


@contextlib.contextmanager
def opened_copy(path: Path) -> Iterator[SqlLedger]:
    """Open the ledger in a backup, and close it. No file is made beside it, so that the backup stays as it is.

    One of an older version is copied, and the copy is brought to the newest version.
    """
    try:
        ledger = open_unchanging(path / FILE_NAME)
    except UsageError as error:
        if error.code != Code.LEDGER_VERSION:
            raise
        with _newest_version(path / FILE_NAME) as ledger:
            yield ledger
        return
    with contextlib.closing(ledger):
        yield ledger


@contextlib.contextmanager
def _newest_version(path: Path) -> Iterator[SqlLedger]:
    """Open a copy of a ledger in a temporary folder; raises UsageError LEDGER_VERSION if it is of a newer program."""
    with tempfile.TemporaryDirectory(prefix="atcaprov-backup-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        with contextlib.closing(open_ledger(copy, datetime.now(UTC))) as ledger:
            yield ledger


def _check_checkpoint(path: Path, ledger: SqlLedger, log: WholeLog) -> None:
    signed = SignedCheckpoint.parse(read_bytes(path))
    key = verifier_key_of(ledger)
    if key is not None:
        signed.verify(key)
    stated = signed.checkpoint
    if (stated.origin, stated.size, stated.root) != (origin_of(ledger.identity), log.head.size, log.head.root):
        raise UsageError(
            f"The checkpoint {path} is not that of the ledger beside it.",
            advice="Take another backup.",
            code=Code.LOG_MISMATCH,
        )
