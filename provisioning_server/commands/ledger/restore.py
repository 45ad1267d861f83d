"""The command `provisioning-server ledger restore`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from atcaprov.bounded_reading import is_file
from atcaprov.errors import UsageError
from atcaprov.program.console_text import counted, say
from provisioning_server.audit.log_key import KEY_FILE
from provisioning_server.backup.backup_folder import CA_FILE, read_backup
from provisioning_server.backup.restore import restore_backup
from provisioning_server.commands.ledger_options import folder_of, ledger_options
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.records.data_folder import DataFolder

_POSTGRESQL: Final = "Restore it with pg_restore, as docs/howto/share-a-ledger-on-postgresql.md says."


@click.command("restore")
@click.argument("backup", metavar="BACKUP", type=click.Path(path_type=Path))
@click.option(
    "--replace", "reason", metavar="REASON", help="Replace a ledger that may be newer, for this reason, which is kept."
)
@ledger_options
def command(backup: Path, reason: str | None, place: LedgerPlace) -> None:
    """Put the ledger of a backup into the data folder.

    The backup is checked completely before. What it replaces is moved to the folder replaced-DATE-TIME, nothing is
    deleted. No server may run.
    """
    if reason is not None and not reason.strip():
        raise UsageError("The reason of --replace is empty.", advice="Say why the backup takes the ledger's place.")
    data = folder_of(place, _POSTGRESQL)
    now = datetime.now(UTC)
    checked = read_backup(backup)
    with DataFolder(data, now).locked():
        aside = restore_backup(checked, data, now, reason=reason)
    entries = counted(checked.log.head.size, "entry", "entries")
    say(f"Restored {entries} with {counted(checked.log.certificates, 'certificate')} to {data}.")
    if aside is not None:
        say(f"What was there before is in {aside}.")
    for lacks, name in ((checked.lacks_log_key, KEY_FILE), (checked.lacks_station_ca, CA_FILE)):
        if lacks and not is_file(data / name):
            place_of_it = (data / name).parent
            say(f"Put your copy of {Path(name).name} into {place_of_it} before you start the server.", err=True)
