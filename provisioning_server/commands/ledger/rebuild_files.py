"""The command `provisioning-server ledger rebuild-files`."""

from __future__ import annotations

import contextlib
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

import click

from atcaprov import durable_files
from atcaprov.bounded_reading import status
from atcaprov.errors import Code, UsageError
from atcaprov.program.console_text import counted, say
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.guide_files.guide_files import GuideFiles
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.data_folder import DataFolder


@click.command("rebuild-files")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@ledger_options
def command(folder: Path, place: LedgerPlace) -> None:
    """Write signing log and certificates to a new folder.

    They are made from the ledger, for a data folder that lost them, or for an archive. The server may run.
    """
    if status(folder) is not None:
        raise UsageError(f"{folder} already exists.", advice="Name a new folder.", code=Code.FILE_UNWRITABLE)
    with ledger_for_reading(place) as ledger:
        try:
            written = _write(ledger, folder)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be written: {error.strerror}.",
                advice="Make room on its disk, or name another folder.",
                code=Code.FILE_UNWRITABLE,
            ) from error
    say(f"The files of {counted(written, 'certificate')} were written to {folder}.")


def _write(ledger: Ledger, folder: Path) -> int:
    """Write all files under another name first; return the number of certificates."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    if unfinished.is_dir():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    files = GuideFiles(DataFolder(unfinished, datetime.now(UTC)), ledger, logging.getLogger(__name__))
    with contextlib.closing(files):
        written = files.write_missed(ledger.head().size)
        files.sync()
    unfinished.rename(folder)
    durable_files.sync_folder(folder.absolute().parent)
    return written
