"""The group `provisioning-server order`."""

from __future__ import annotations

import click

from atcaprov.program.lazy_group import LazyGroup


@click.group(
    "order",
    cls=LazyGroup,
    modules={
        "close": "provisioning_server.commands.order.close",
        "list": "provisioning_server.commands.order.list_orders",
        "open": "provisioning_server.commands.order.open_order",
        "show": "provisioning_server.commands.order.show",
    },
)
def group() -> None:
    """Open, list, show and close work orders."""
