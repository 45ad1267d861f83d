"""The command `provisioning-server order show`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from atcaprov.program.console_text import say
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.commands.order.order_text import order_fields, order_lines
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.orders.order_actions import unknown_order


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
@ledger_options
def command(name: str, as_json: bool, place: LedgerPlace) -> None:
    """Show a work order, and how much of it is done."""
    now = datetime.now(UTC)
    with ledger_for_reading(place) as ledger:
        order = ledger.administered.order(name)
    if order is None:
        raise unknown_order(name)
    if as_json:
        say(json.dumps(order_fields(order, now)))
        return
    for line in order_lines(order, now):
        say(line)
