"""Make a backup of the ledger of a data folder while its server runs."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import is_file, paths_in, read_bytes
from atcaprov.errors import Code, UsageError
from atcaprov.transparency.checkpoint import Checkpoint
from provisioning_server.audit.log_key import KEY_FILE, open_key_file
from provisioning_server.audit.log_signer import origin_of
from provisioning_server.backup import sums_file
from provisioning_server.backup.backup_folder import (
    CA_FILE,
    CHECKPOINT,
    PINS,
    SERVER_ID,
    UNFINISHED,
    Backup,
    opened_copy,
    read_backup,
)
from provisioning_server.backup.retention import backups_in
from provisioning_server.ledger.open_ledger import FILE_NAME
from provisioning_server.ledger.sql.database import DatabaseError
from provisioning_server.ledger.sql.sqlite_copy import copy_database

_FOLDER_MODE: Final = 0o750
_MODE: Final = 0o640
_OWNER_ONLY: Final = 0o600


def make_backup(
    data: Path, destination: Path, now: datetime, *, with_log_key: bool = False, with_station_ca: bool = False
) -> Backup:
    """Write a backup into a new folder in `destination`, which is made if it is missing, and check it completely.

    Raises:
        UsageError: FILE_UNREADABLE, FILE_UNWRITABLE or DISK_FULL; there is no new backup then.
        AtcaProvError: as `read_backup`.
    """
    if not is_file(data / FILE_NAME):
        raise UsageError(
            f"There is no ledger {data / FILE_NAME}.",
            advice="Name the folder of the server with --data.",
            code=Code.FILE_UNREADABLE,
        )
    try:
        destination.mkdir(parents=True, exist_ok=True)
        path = _new_path(destination, now)
        unfinished = path.with_name(path.name + UNFINISHED)
        unfinished.mkdir(_FOLDER_MODE)
        try:
            _write(data, unfinished, [*([KEY_FILE] * with_log_key), *([CA_FILE] * with_station_ca)])
            checked = read_backup(unfinished)
            unfinished.rename(path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        durable_files.sync_folder(destination)
    except OSError as error:
        raise _unwritable(destination, error) from error
    return replace(checked, path=path)


def _write(data: Path, folder: Path, private: Iterable[str]) -> None:
    names = [FILE_NAME]
    durable_files.write_new(folder / FILE_NAME, b"", _MODE)
    try:
        copy_database(data / FILE_NAME, folder / FILE_NAME)
    except DatabaseError as error:
        raise UsageError(
            f"The ledger cannot be copied to {folder}: {error}.",
            advice="Make room on the disk of the backup, and try again.",
            code=Code.FILE_UNWRITABLE,
        ) from error
    names += _write_checkpoint(data, folder)
    names += _copy(data / SERVER_ID, folder, SERVER_ID)
    for pin in paths_in(data / PINS, "*.txt"):
        names += _copy(pin, folder, f"{PINS}/{pin.name}")
    for name in private:
        names += _copy(data / name, folder, name, _OWNER_ONLY)
    durable_files.write_new(folder / sums_file.NAME, sums_file.sums_text(folder, names).encode(), _MODE)
    for each in {(folder / name).parent for name in names} | {folder}:
        durable_files.sync_folder(each)


def _write_checkpoint(data: Path, folder: Path) -> list[str]:
    """Sign the head of the copy, if its log has a key and the key is here."""
    with opened_copy(folder) as ledger:
        if not ledger.log_key() or not is_file(data / KEY_FILE):
            return []
        origin, head = origin_of(ledger.identity), ledger.head()
    signer = open_key_file(data / KEY_FILE, make=False).signer(origin)
    note = Checkpoint(origin, head.size, head.root).signed_by(signer)
    durable_files.write_new(folder / CHECKPOINT, note.to_bytes(), _MODE)
    return [CHECKPOINT]


def _copy(source: Path, folder: Path, name: str, mode: int = _MODE) -> list[str]:
    """Copy a small file, if there is one; return its name."""
    if not is_file(source):
        return []
    target = folder / name
    target.parent.mkdir(_FOLDER_MODE, exist_ok=True)
    durable_files.write_new(target, read_bytes(source), mode)
    return [name]


def _new_path(destination: Path, now: datetime) -> Path:
    """Return a name that sorts after those of all backups that are there, also of one of the same second."""
    name = f"ledger-{now:%Y%m%d-%H%M%S}"
    newest = max((path.name for path in backups_in(destination)), default="")
    if name > newest:
        return destination / name
    base, _, number = newest.partition("_")
    return destination / f"{base}_{int(number or 1) + 1:04}"


def _unwritable(destination: Path, error: OSError) -> UsageError:
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    return UsageError(
        f"No backup was made in {destination}: {error.strerror}.",
        advice="Make room there, or choose another folder." if full else "Choose a folder that this user may write.",
        code=Code.DISK_FULL if full else Code.FILE_UNWRITABLE,
    )
