"""Remove old backups. Entries of a ledger are never removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from atcaprov import durable_files
from atcaprov.bounded_reading import is_file, paths_in
from atcaprov.errors import Code, UsageError
from provisioning_server.backup import sums_file
from provisioning_server.backup.backup_folder import COMPLETE, UNFINISHED


def backups_in(destination: Path) -> list[Path]:
    """Return the complete backups in a folder, oldest first; raises UsageError FILE_UNREADABLE."""
    found = paths_in(destination, "ledger-*")
    return [path for path in found if COMPLETE.fullmatch(path.name) and is_file(path / sums_file.NAME)]


def keep_newest(destination: Path, count: int) -> list[Path]:
    """Remove all complete backups but the newest ones, and what was left of cut ones; return those removed.

    A backup loses its name before the first of its files: one that is cut off here is never taken for a whole one.

    Raises:
        UsageError: FILE_UNWRITABLE.
    """
    removed = backups_in(destination)[:-count]
    try:
        for path in removed:
            path.rename(path.with_name(path.name + UNFINISHED))
        durable_files.sync_folder(destination)
        for path in paths_in(destination, f"ledger-*{UNFINISHED}"):
            shutil.rmtree(path)
    except OSError as error:
        raise UsageError(
            f"An old backup in {destination} cannot be removed: {error.strerror}.",
            advice="The new backup is complete. Remove the old one yourself.",
            code=Code.FILE_UNWRITABLE,
        ) from error
    return removed
