"""The command `provisioning-server reload`."""

from __future__ import annotations

import click

from atcaprov.program.console_text import say
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.control.client import run_command
from provisioning_server.ledger.ledger_place import LedgerPlace


@click.command("reload")
@ledger_options
def command(place: LedgerPlace) -> None:
    """Let the running server read its settings again.

    A broken file leaves all settings as they were.
    """
    changed = run_command(place.data, "reload", {})["changed"]
    for sentence in changed:
        say(sentence)
    if not changed:
        say("Nothing has changed.")
