"""The command `provisioning-server station remove`."""

from __future__ import annotations

import click

from atcaprov.errors import UsageError
from atcaprov.program.console_text import say
from provisioning_server.commands.administer import administer
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.stations.actions import REMOVE


@click.command("remove")
@click.argument("name", metavar="NAME")
@click.option("--reason", metavar="TEXT", required=True, help="Why. It is recorded permanently.")
@ledger_options
def command(name: str, reason: str, place: LedgerPlace) -> None:
    """Refuse a station from now on, also on its open connections.

    All its certificates and open tokens end. A server on the same ledger refuses it within two seconds. The name can
    be given to a station again.
    """
    if not reason.strip():
        raise UsageError("The reason of --reason is empty.", advice="Say why the station is removed.")
    administer(place, REMOVE, {"name": name, "reason": " ".join(reason.split())})
    say(f"Station {name} is removed.")
