"""The command `provisioning-server audit export`."""

from __future__ import annotations

from pathlib import Path

import click

from atcaprov.program.console_text import say
from provisioning_server.audit.export_log import LogExport
from provisioning_server.audit.log_key import LogChip
from provisioning_server.commands.audit.log_key_options import log_key_options
from provisioning_server.commands.audit.signing_ledger import signing_ledger
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.ledger.ledger_place import LedgerPlace


@click.command("export")
@ledger_options
@log_key_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def command(place: LedgerPlace, folder: Path, log_chip: LogChip | None) -> None:
    """Write the log to a folder for any web server.

    A further run adds what is new. DIR then holds a checkpoint, tiles and entries (C2SP tlog-tiles), and the
    certificates of the signers.
    """
    with signing_ledger(place, log_chip) as (ledger, signer):
        before, signed = LogExport(ledger, signer, folder).run()
    say(f"Entries in {folder}: {signed.checkpoint.size}, {signed.checkpoint.size - before} of them new.")
    say(f"Verifier key of the log: {signer.verifier_key}")
