"""The program `signer-module`: create roots and signers in files and chips, export, show and check them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from atcaprov.program.exit_codes import exit_code
from atcaprov.program.log_options import log_options
from atcaprov.program.log_output import logged_on_stderr
from atcaprov.program.process_hardening import harden_process, lock_memory
from signer_module.commands import (
    ceremony,
    create_root,
    create_signer,
    definition,
    description,
    external_ca,
    info_verify_export,
    password,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atcaprov", prog_name="signer-module")
@log_options()
@click.pass_context
def cli(context: click.Context, log_level: int | None) -> None:
    """Create roots and signers on files or in chips, and export what clients and products need of them."""
    context.with_resource(logged_on_stderr(log_level))


@cli.group("root")
def root_group() -> None:
    """The root: its key signs signer certificates."""


@cli.group("signer")
def signer_group() -> None:
    """Signers: their keys sign device certificates."""


root_group.add_command(create_root.root_create)
signer_group.add_command(create_signer.signer_create)
signer_group.add_command(external_ca.signer_request)
signer_group.add_command(external_ca.signer_import)
cli.add_command(info_verify_export.export_command)
cli.add_command(info_verify_export.info_command)
cli.add_command(info_verify_export.verify_command)
cli.add_command(info_verify_export.backup_command)
cli.add_command(password.password_group)
cli.add_command(description.description_command)
cli.add_command(definition.definition_group)
cli.add_command(ceremony.ceremony_group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code: 0, 2 to 8 as the errors say, 130 when interrupted."""
    harden_process()
    if arguments is None:  # it is the whole program
        lock_memory()
    return exit_code(cli, "signer-module", None if arguments is None else list(arguments))


if __name__ == "__main__":
    sys.exit(main())
