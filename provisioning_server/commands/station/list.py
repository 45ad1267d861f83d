"""The command `provisioning-server station list`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from atcaprov.program.console_text import say
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.stations.actions import station_rows


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each station, each on a line.")
@ledger_options
def command(as_json: bool, place: LedgerPlace) -> None:
    """List all stations, and until when they are admitted."""
    with ledger_for_reading(place) as ledger:
        rows = station_rows(ledger.administered, datetime.now(UTC))
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        say(json.dumps(row) if as_json else f"{row['name']:{width}}  {row['state']:18}  {row['until']}")
