"""The command `provisioning-server order list`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from atcaprov.program.console_text import say
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.commands.order.order_text import order_fields, order_line
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.orders.work_orders import ENDED, order_state


@click.command("list")
@click.option("--all", "with_ended", is_flag=True, help="List those that have ended, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@ledger_options
def command(with_ended: bool, as_json: bool, place: LedgerPlace) -> None:
    """List work orders.

    A line has the name, the state, how many certificates are issued of how many, and the product.
    """
    now = datetime.now(UTC)
    with ledger_for_reading(place) as ledger:
        orders = ledger.administered.orders()
    for order in orders:
        if with_ended or order_state(order, now) not in ENDED:
            say(json.dumps(order_fields(order, now)) if as_json else order_line(order, now))
