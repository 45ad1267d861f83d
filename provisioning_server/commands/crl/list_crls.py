"""The command `provisioning-server crl list`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from atcaprov.program.console_text import say
from provisioning_server.commands.crl.crl_rows import crl_rows
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@ledger_options
def command(as_json: bool, place: LedgerPlace) -> None:
    """List the signers with their newest lists."""
    with ledger_for_reading(place) as ledger:
        for row in crl_rows(ledger, datetime.now(UTC)):
            say(json.dumps(row.fields()) if as_json else row.line())
