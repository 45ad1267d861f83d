"""The command `provisioning-server ledger import`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import click

from atcaprov.program.console_text import counted, say
from provisioning_server.commands.ledger_options import folder_of, ledger_options
from provisioning_server.commands.locked_folder import locked_data_folder
from provisioning_server.folder_import.import_folder import ImportedFolder, check_folder, import_folder
from provisioning_server.ledger.ledger_place import LedgerPlace

_POSTGRESQL: Final = "Older records can be imported into a ledger in the data folder only: leave --ledger out."


@click.command("import")
@ledger_options
@click.option("--check", is_flag=True, help="Only check whether the records can be imported; write nothing.")
def command(place: LedgerPlace, check: bool) -> None:
    """Import the records of a server from before the ledger.

    Each certificate is verified, and the new ledger is compared with the old records before it is used. The old files
    stay as they are, and are not read again. A server does this by itself at its first start.
    """
    data = folder_of(place, _POSTGRESQL)
    now = datetime.now(UTC)
    if check:
        say(f"{_counts(check_folder(data, now))} can be imported. Nothing was written.")
        return
    with locked_data_folder(data):
        imported = import_folder(data, now)
    say(f"{_counts(imported)} were imported into the ledger. The old files were not changed.")


def _counts(imported: ImportedFolder) -> str:
    documents = counted(imported.documents, "set")
    return f"{counted(imported.certificates, 'certificate')} and {documents} of signer documents"
