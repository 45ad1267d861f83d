"""The group `atcaprov chip`."""

from __future__ import annotations

import click

from atcaprov.program.lazy_group import LazyGroup


@click.group(
    "chip",
    cls=LazyGroup,
    modules={
        "cert": "atcaprov.cli.chip.cert",
        "config": "atcaprov.cli.chip.config",
        "doctor": "atcaprov.cli.chip.doctor",
        "dump": "atcaprov.cli.chip.dump",
        "info": "atcaprov.cli.chip.info",
        "inspect": "atcaprov.cli.chip.inspect",
        "verify": "atcaprov.cli.chip.verify",
    },
)
def group() -> None:
    """Ask a chip what it is, what is on it and whether it is good. The chip is not changed."""
