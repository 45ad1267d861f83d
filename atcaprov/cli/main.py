"""The groups of `atcaprov`; each is imported only when it is named."""

from __future__ import annotations

from typing import NoReturn

import click

from atcaprov.program.exit_codes import run_program
from atcaprov.program.lazy_group import LazyGroup
from atcaprov.program.log_options import log_options
from atcaprov.program.log_output import logged_on_stderr


@click.command(
    cls=LazyGroup,
    modules={
        "chip": "atcaprov.cli.chip.group",
        "config": "atcaprov.cli.config",
        "emulator": "atcaprov.cli.emulator",
        "import": "atcaprov.cli.import_certificate",
        "import-key": "atcaprov.cli.import_private_key",
        "profile": "atcaprov.cli.profile",
        "request": "atcaprov.cli.request",
        "udev-rule": "atcaprov.cli.udev_rule",
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="atcaprov")
@log_options()
@click.pass_context
def atcaprov(context: click.Context, log_level: int | None) -> None:
    """Tools for the secure provisioning of ATECC608 chips."""
    context.with_resource(logged_on_stderr(log_level))


def main() -> NoReturn:
    """Run `atcaprov` with the arguments of the process."""
    run_program(atcaprov, "atcaprov")
