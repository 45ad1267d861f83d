"""The command `provisioning-server station renew`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.station.token_output import print_token, token_options
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.stations.actions import RENEW


@click.command("renew")
@click.argument("name", metavar="NAME")
@token_options
@ledger_options
def command(name: str, valid: timedelta, servers: tuple[str, ...], output: Path | None, place: LedgerPlace) -> None:
    """Print an enrolment token for a station that is admitted.

    For a station whose certificate has ended or is lost; others renew themselves: provisioning-client enrol --renew.
    """
    print_token(place, RENEW, name, valid, servers, output)
