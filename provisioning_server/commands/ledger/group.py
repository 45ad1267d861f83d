"""The group `provisioning-server ledger`."""

from __future__ import annotations

import click

from atcaprov.program.lazy_group import LazyGroup


@click.group("ledger", cls=LazyGroup, modules={"import": "provisioning_server.commands.ledger.import_folder"})
def group() -> None:
    """Search, export, back up and restore the ledger."""
