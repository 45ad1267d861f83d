"""The command `provisioning-server order open`."""

from __future__ import annotations

from datetime import datetime

import click

from atcaprov.program.console_text import say
from provisioning_server.commands.administer import administer
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.parameter_types import Moment
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.orders.order_actions import COUNT_MAX, OPEN


@click.command("open")
@click.argument("name")
@click.option("--product", metavar="NAME", default="", help="Product that is made; without it any.")
@click.option(
    "--count", metavar="N", type=click.IntRange(1, COUNT_MAX), show_default="no limit",
    help="How many certificates are issued for it at most.",
)  # fmt: skip
@click.option("--from", "begins", metavar="TIME", type=Moment(), help="When it begins (UTC); without it at once.")
@click.option(
    "--until", "ends", metavar="TIME", type=Moment(), help="When it ends (UTC); without it when it is closed."
)
@click.option(
    "--label-pattern", metavar="RE", default="",
    help="What the label of each board must match as a whole, such as 'GW-[0-9]{6}'.",
)  # fmt: skip
@click.option(
    "--station", "stations", metavar="NAME", multiple=True,
    help="Station that may work on it; without one any. Repeat it for several stations.",
)  # fmt: skip
@ledger_options
def command(
    name: str,
    product: str,
    count: int | None,
    begins: datetime | None,
    ends: datetime | None,
    label_pattern: str,
    stations: tuple[str, ...],
    place: LedgerPlace,
) -> None:
    """Open a work order, under a name that was never used.

    It takes effect at once, also in a server that runs.
    """
    arguments = {
        "order": name,
        "product": product,
        "count": count or 0,
        "begins": None if begins is None else begins.isoformat(),
        "ends": None if ends is None else ends.isoformat(),
        "label_pattern": label_pattern,
        "stations": list(stations),
    }
    done = administer(place, OPEN, arguments)
    say(f"Work order {done['order']} is open.")
