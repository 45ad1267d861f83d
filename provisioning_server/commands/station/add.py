"""The command `provisioning-server station add`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.station.token_output import print_token, token_options
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.stations.actions import ADD


@click.command("add")
@click.argument("name", metavar="NAME")
@token_options
@ledger_options
def command(name: str, valid: timedelta, servers: tuple[str, ...], output: Path | None, place: LedgerPlace) -> None:
    """Print the enrolment token of a new station.

    The token is one line of text and admits one computer, once. There, run: provisioning-client enrol. NAME stands in
    every record of what the station asks for.
    """
    print_token(place, ADD, name, valid, servers, output)
