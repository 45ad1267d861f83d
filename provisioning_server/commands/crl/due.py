"""The command `provisioning-server crl due`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

import click

from atcaprov.program.console_text import say
from provisioning_server.commands.crl.crl_rows import crl_rows
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.revocation.crl_state import CrlDue

DUE: Final = 10
"""The exit code when a list is due."""


@click.command("due")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@ledger_options
def command(as_json: bool, place: LedgerPlace) -> int:
    """List the signers whose next list is due.

    The newest one ends soon or has ended, or a revocation is on no list.
    The exit code is 0 if there is none, 10 if there is one.
    """
    with ledger_for_reading(place) as ledger:
        rows = [row for row in crl_rows(ledger, datetime.now(UTC)) if row.state.due is not CrlDue.NO]
    for row in rows:
        say(json.dumps(row.fields()) if as_json else row.line())
    return DUE if rows else 0
