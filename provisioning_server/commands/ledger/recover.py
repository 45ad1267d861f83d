"""The command `provisioning-server ledger recover`."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import click

from atcaprov.errors import UsageError
from atcaprov.program.console_text import counted, say
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.locked_folder import locked_data_folder
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.recovery.found_files import FoundFiles
from provisioning_server.recovery.named_signer import named_signer
from provisioning_server.recovery.recover import Recoverer

_SOME_REFUSED = 1


@click.command("recover")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--reason", metavar="TEXT", required=True, help="Why the ledger lacks them. It is recorded permanently.")
@click.option(
    "--signer",
    "signers",
    metavar="PLACE",
    multiple=True,
    help="A signer that had issued nothing before the backup: its signer folder, or the device URL of its module."
    " Can be repeated.",
)
@ledger_options
def command(files: tuple[Path, ...], reason: str, signers: tuple[str, ...], place: LedgerPlace) -> int:
    """Recover certificates and reports that the ledger lacks.

    FILE is a report that a station has kept, a signing log, a certificate SN_device.pem, or a folder of such files.
    Each certificate is verified under its signer before it is recorded. No server may run. Exit code 1 if something
    was not recovered; each such file is named.
    """
    if not reason.strip():
        raise UsageError("The reason of --reason is empty.", advice="Say what happened to the ledger.")
    with ledger_for_reading(place):
        pass  # a folder without a ledger gets none
    named = [named_signer(each) for each in signers]
    now = datetime.now(UTC)
    with locked_data_folder(place.data), contextlib.closing(open_ledger(place.ledger, now)) as ledger:
        found = FoundFiles(ledger)
        found.read(files)
        done = Recoverer(ledger, " ".join(reason.split()), now, named).recover(found)
    for text in done.refused:
        say(f"Not recovered: {text}")
    say(
        f"Recovered: {counted(done.certificates, 'certificate')}, {counted(done.reports, 'report')}."
        f" In the ledger before: {counted(done.known, 'certificate')}."
    )
    return _SOME_REFUSED if done.refused else 0
