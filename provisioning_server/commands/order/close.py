"""The command `provisioning-server order close`."""

from __future__ import annotations

import click

from atcaprov.program.console_text import say
from provisioning_server.commands.administer import administer
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.orders.order_actions import CLOSE


@click.command("close")
@click.argument("name")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the ledger.")
@ledger_options
def command(name: str, reason: str, place: LedgerPlace) -> None:
    """Close a work order: no new certificate is issued for it.

    Boards that have their certificate are finished. An order that is closed is not opened again.
    """
    done = administer(place, CLOSE, {"order": name, "reason": reason})
    say(f"Work order {done['order']} {'is closed' if done['closed'] else 'was closed before'}.")
