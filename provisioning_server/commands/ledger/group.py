"""The group `provisioning-server ledger`."""

from __future__ import annotations

import click

from atcaprov.program.lazy_group import LazyGroup


@click.group(
    "ledger",
    cls=LazyGroup,
    modules={
        "accept-rollback": "provisioning_server.commands.ledger.accept_rollback",
        "backup": "provisioning_server.commands.ledger.backup",
        "export": "provisioning_server.commands.ledger.export",
        "import": "provisioning_server.commands.ledger.import_folder",
        "rebuild-files": "provisioning_server.commands.ledger.rebuild_files",
        "recover": "provisioning_server.commands.ledger.recover",
        "restore": "provisioning_server.commands.ledger.restore",
        "search": "provisioning_server.commands.ledger.search",
        "show": "provisioning_server.commands.ledger.show",
        "unproven": "provisioning_server.commands.ledger.unproven",
    },
)
def group() -> None:
    """Search, export, back up and restore the ledger."""
