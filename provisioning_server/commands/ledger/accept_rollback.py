"""The command `provisioning-server ledger accept-rollback`."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import click

from atcaprov.program.console_text import counted, say
from atcaprov.program.serial_number import SerialNumber
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.locked_folder import locked_data_folder
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.accept_rollback import accept_rollback
from provisioning_server.ledger.changes import RollbackAccepted
from provisioning_server.ledger.checkpoint_file import CheckpointFile
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.rollback_notes import RollbackFile


@click.command("accept-rollback")
@click.option(
    "--signer",
    metavar="SN",
    type=SerialNumber(),
    help="Serial number of the signer. Without it everything found is accepted.",
)
@click.option("--reason", metavar="TEXT", required=True, help="Why the ledger is behind. It is recorded permanently.")
@ledger_options
def command(signer: bytes | None, reason: str, place: LedgerPlace) -> None:
    """Accept that the ledger is behind, for a reason.

    The server signs again then; it may not run meanwhile. Only what it has found itself is accepted. Put the newest
    ledger back instead if it still exists: the chips of the missing certificates can get others.
    """
    now = datetime.now(UTC)
    with ledger_for_reading(place):
        pass  # a place without a ledger gets none
    with locked_data_folder(place.data):
        file = RollbackFile(place.data)
        with contextlib.closing(open_ledger(place.ledger, now)) as ledger:
            accepted, left = accept_rollback(ledger, file.read(), signer, reason, now)
            epoch = ledger.identity.epoch
        if any(each.checkpoint for each in accepted):
            CheckpointFile(place.data).remove()
        file.write(left)
    for each in accepted:
        say(_text(each))
    say(f"The log goes on in epoch {epoch}." if accepted else "The ledger lacks nothing any more.")


def _text(accepted: RollbackAccepted) -> str:
    if not accepted.signer_serial:
        of = "a checkpoint of it" if accepted.checkpoint else "the files of its data folder"
        return f"Accepted: the ledger is behind {of}."
    missing = counted(accepted.missing, "signature")
    return f"Accepted: {missing} of {accepted.signer_serial.hex().upper()} without an entry."
