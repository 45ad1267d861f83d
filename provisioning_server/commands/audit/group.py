"""The group `provisioning-server audit`."""

from __future__ import annotations

import click

from atcaprov.program.lazy_group import LazyGroup


@click.group(
    "audit",
    cls=LazyGroup,
    modules={
        name: f"provisioning_server.commands.audit.{name}"
        for name in ("verify", "export", "proof", "witness", "reconcile")
    },
)
def group() -> None:
    """Check the ledger's log, and give proofs that others can check."""
