"""The command `provisioning-server web-link`."""

from __future__ import annotations

import click

from atcaprov.program.console_text import say
from atcaprov.web.roles import Role
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.control.client import run_command
from provisioning_server.ledger.ledger_place import LedgerPlace


@click.command("web-link")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), default=Role.LOOK.value,
    help="What the login may do.",
)  # fmt: skip
@ledger_options
def command(role: str, place: LedgerPlace) -> None:
    """Print a link for one login to the web page of the running server.

    It is valid for ten minutes. Whoever opens it first is logged in.
    """
    say(run_command(place.data, "web-link", {"role": role})["link"])
