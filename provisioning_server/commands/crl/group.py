"""The group `provisioning-server crl`."""

from __future__ import annotations

import click

from atcaprov.program.lazy_group import LazyGroup


@click.group(
    "crl",
    cls=LazyGroup,
    modules={
        "due": "provisioning_server.commands.crl.due",
        "list": "provisioning_server.commands.crl.list_crls",
        "publish": "provisioning_server.commands.crl.publish",
        "show": "provisioning_server.commands.crl.show",
    },
)
def group() -> None:
    """Sign, publish and show the lists of revoked certificates."""
