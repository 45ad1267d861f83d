"""The groups of `atcaprov`; each is imported only when it is named."""

from __future__ import annotations

import importlib
from typing import Final, NoReturn

import click

from atcaprov.program.exit_codes import run_program
from atcaprov.program.log_options import log_options
from atcaprov.program.log_output import logged_on_stderr

_GROUPS: Final = {
    "config": "atcaprov.cli.config",
    "emulator": "atcaprov.cli.emulator",
    "request": "atcaprov.cli.request",
}


class _LazyGroup(click.Group):
    """A group whose commands are the attribute `group` of their modules, imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _GROUPS.get(cmd_name)
        if module is None:
            return None
        group: click.Command = importlib.import_module(module).group
        return group


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atcaprov")
@log_options()
@click.pass_context
def atcaprov(context: click.Context, log_level: int | None) -> None:
    """Tools for the secure provisioning of ATECC608 chips."""
    context.with_resource(logged_on_stderr(log_level))


def main() -> NoReturn:
    """Run `atcaprov` with the arguments of the process."""
    run_program(atcaprov, "atcaprov")
