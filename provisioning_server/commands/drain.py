"""The command `provisioning-server drain`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import click

from atcaprov.program.console_text import counted, say
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.parameter_types import Duration
from provisioning_server.control.client import run_command
from provisioning_server.ledger.ledger_place import LedgerPlace

_LEFT: Final = 1
_MARGIN_SECONDS: Final = 30.0


@click.command("drain")
@click.option(
    "--within",
    metavar="DURATION",
    type=Duration(),
    default=timedelta(minutes=1),
    show_default="1m",
    help="How long open requests may take, such as 90s.",
)
@ledger_options
def command(within: timedelta, place: LedgerPlace) -> int:
    """Stop the running server once its open requests are answered.

    It accepts nothing new from the start. The exit code is 1 if the time was too short for some requests.
    """
    seconds = within.total_seconds()
    left = run_command(place.data, "drain", {"seconds": seconds}, seconds + _MARGIN_SECONDS)["left"]
    if left:
        say(f"The server stops. {counted(left, 'connection')} did not get the reply in time; their clients ask again.")
        return _LEFT
    say("The server stops. All open requests have their replies.")
    return 0
