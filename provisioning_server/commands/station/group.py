"""The group `provisioning-server station`."""

from __future__ import annotations

import click

from atcaprov.program.lazy_group import LazyGroup


@click.group(
    "station",
    cls=LazyGroup,
    modules={name: f"provisioning_server.commands.station.{name}" for name in ("add", "list", "remove", "renew")},
)
def group() -> None:
    """Say which computers may ask the server."""
