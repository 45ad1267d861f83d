"""Put the ledger of a backup into a data folder. Nothing is deleted: what was there is moved aside."""

from __future__ import annotations

import contextlib
import shutil
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import is_file, status
from atcaprov.errors import AtcaProvError, Code, UsageError
from provisioning_server.backup.backup_folder import CHECKPOINT, PRIVATE, Backup, opened_copy
from provisioning_server.backup.sums_file import check_sums
from provisioning_server.ledger.open_ledger import FILE_NAME, open_for_reading, open_ledger
from provisioning_server.ledger.sql.sqlite_file import write_ahead_log

REASON: Final = "REASON.txt"
_STAGED: Final = "restore.unfinished"
_LEDGER_FILES: Final = (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm")
_FOLDER_MODE: Final = 0o750
_MODE: Final = 0o640
_OWNER_ONLY: Final = 0o600


def restore_backup(backup: Backup, data: Path, now: datetime, *, reason: str | None = None) -> Path | None:
    """Restore a backup that was checked into a data folder that the caller holds.

    A ledger that may be newer than the backup is replaced for a `reason` only. Returns the folder in which the files
    are that were there before; None if there were none.

    Raises:
        UsageError: FILE_INVALID if the backup has changed since; RECORD_MISSING if there is a ledger that may be newer;
            FILE_UNWRITABLE. The ledger that was there is in its place then, or moved aside.
    """
    if reason is None:
        _require_no_newer_ledger(backup, data)
    try:
        staged = _stage(backup, data)
        aside = _move_aside(backup, data, now, reason)
        _put_in_place(backup, staged, data)
    except OSError as error:
        raise UsageError(
            f"The backup {backup.path} cannot be restored to {data}: {error.strerror}.",
            advice="Make room on the disk, check its permissions, and restore again.",
            code=Code.FILE_UNWRITABLE,
        ) from error
    return aside


def _require_no_newer_ledger(backup: Backup, data: Path) -> None:
    if status(data / FILE_NAME) is None:
        return
    try:
        with (
            contextlib.closing(open_for_reading(data / FILE_NAME)) as found,
            opened_copy(backup.path) as copy,
        ):
            size = found.head().size
            if found.identity.ledger_id != backup.identity.ledger_id:
                why = "is another ledger"
            elif size > backup.log.head.size or found.identity.epoch > backup.identity.epoch:
                why = f"has {size} entries, the backup {backup.log.head.size}"
            elif size and found.entries(size - 1, 1) != copy.entries(size - 1, 1):
                why = "has other entries than the backup"
            else:
                return
    except AtcaProvError as error:
        why = f"cannot be read: {error.what}"
    raise UsageError(
        f"The ledger in {data} {why.rstrip('.')}. Nothing was changed.",
        advice="To put the backup in its place, give a reason with --replace. The ledger there is moved aside.",
        code=Code.RECORD_MISSING,
    )


def _stage(backup: Backup, data: Path) -> Path:
    """Copy the backup into a folder beside its places, durably, and compare the copies."""
    staged = data / _STAGED
    if staged.exists():
        shutil.rmtree(staged)
    staged.mkdir(_FOLDER_MODE)
    for name in backup.sums:
        target = staged / name
        target.parent.mkdir(_FOLDER_MODE, exist_ok=True)
        durable_files.copy_new(backup.path / name, target, _OWNER_ONLY if name in PRIVATE else _MODE)
        durable_files.sync_folder(target.parent)
    check_sums(staged, backup.sums)
    durable_files.sync_folder(data)
    return staged


def _move_aside(backup: Backup, data: Path, now: datetime, reason: str | None) -> Path | None:
    """Move what the backup replaces into a folder of its own.

    The ledger goes first: a server that is started after a cut finds none and refuses to start, and never one without
    its write-ahead log.
    """
    _merge_write_ahead_log(data / FILE_NAME, now)
    others = sorted({*backup.sums} - {CHECKPOINT, FILE_NAME})
    there = [name for name in (*_LEDGER_FILES, *others) if is_file(data / name)]
    if not there:
        return None
    aside = _new_folder(data, now)
    if reason is not None:
        durable_files.write_new(aside / REASON, f"{now:%Y-%m-%dT%H:%M:%SZ} {reason}\n".encode(), _MODE)
    for name in there:
        target = aside / name
        target.parent.mkdir(_FOLDER_MODE, exist_ok=True)
        (data / name).rename(target)
        for folder in (target.parent, (data / name).parent):
            durable_files.sync_folder(folder)
    return aside


def _merge_write_ahead_log(ledger: Path, now: datetime) -> None:
    """Bring all of a ledger into its one file, unless it is damaged: then it is kept as it is."""
    if status(write_ahead_log(ledger)) is not None:
        with contextlib.suppress(AtcaProvError):
            open_ledger(ledger, now).close()


def _put_in_place(backup: Backup, staged: Path, data: Path) -> None:
    """Give the copies their places, the ledger last."""
    for name in sorted(backup.sums, key=lambda name: name == FILE_NAME):
        if name != CHECKPOINT:
            (data / name).parent.mkdir(_FOLDER_MODE, exist_ok=True)
            (staged / name).rename(data / name)
            durable_files.sync_folder((data / name).parent)
    shutil.rmtree(staged)


def _new_folder(data: Path, now: datetime) -> Path:
    number = 1
    while True:
        path = data / (f"replaced-{now:%Y%m%d-%H%M%S}" + ("" if number == 1 else f"_{number}"))
        try:
            path.mkdir(_FOLDER_MODE)
        except FileExistsError:
            number += 1
            continue
        return path
