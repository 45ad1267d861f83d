"""The command `provisioning-server ledger backup`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from atcaprov.program.console_text import counted, say
from provisioning_server.backup.backup_folder import CA_FILE
from provisioning_server.backup.make_backup import make_backup
from provisioning_server.backup.retention import keep_newest
from provisioning_server.commands.ledger_options import folder_of, ledger_options
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.records.last_done import Done, LastDone, note_done

_POSTGRESQL: Final = "Back it up with pg_dump, as docs/howto/share-a-ledger-on-postgresql.md says."


@click.command("backup")
@click.argument("destination", metavar="DEST", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(1),
    help="Then remove all backups in DEST but the newest N. Without it none is removed.",
)
@click.option(
    "--with-log-key",
    is_flag=True,
    help="Put the private key of the log into the backup, too: whoever has it can sign checkpoints.",
)
@click.option(
    "--with-station-ca",
    is_flag=True,
    help="Put the station CA with its private key into the backup, too: whoever has it can pose as the server.",
)
@ledger_options
def command(destination: Path, keep: int | None, with_log_key: bool, with_station_ca: bool, place: LedgerPlace) -> None:
    """Make a backup of the ledger in a new folder in DEST.

    The server may run. The backup is checked completely before it gets its name, ledger-DATE-TIME in UTC.
    """
    data = folder_of(place, _POSTGRESQL)
    now = datetime.now(UTC)
    made = make_backup(data, destination, now, with_log_key=with_log_key, with_station_ca=with_station_ca)
    entries = counted(made.log.head.size, "entry", "entries")
    note_done(data, Done.BACKUP, LastDone(now, f"{made.path}: {entries}, checked."))
    say(f"{made.path}: {entries}, {counted(made.log.certificates, 'certificate')}, checked.")
    if made.lacks_log_key:
        say("The private key of the log is not in it: keep a copy of log-key.pem in another place.", err=True)
    if made.lacks_station_ca:
        say(f"The station CA is not in it: keep a copy of {CA_FILE} in another place.", err=True)
    for path in keep_newest(destination, keep) if keep is not None else ():
        say(f"Removed {path}.")
