"""`signer-module root create`: a root on files or on a module."""

from __future__ import annotations

from pathlib import Path

import click

from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.keys import key_id
from atcaprov.errors import UsageError
from atcaprov.program.console_text import say
from atcaprov.terminal.printable import printable
from signer_module.commands import options
from signer_module.commands.module_options import OrderOptions, device_option, done_text, order_options, signatures_of
from signer_module.commands.options import FILE, FOLDER
from signer_module.commands.password_options import PasswordSource, password_options
from signer_module.on_chip.creation.chip_check import read_root_module
from signer_module.on_chip.creation.root_module import create_root_module
from signer_module.on_files import folder_files
from signer_module.on_files.root_folder import create_root


@click.command("create")
@click.option("--out", type=FOLDER, required=True, help="New folder for the root.")
@click.option("--description", "description_path", type=FILE, help="TOML description; without it the default.")
@device_option
@click.option("--register-lost", is_flag=True, help="Make a new folder for a root module that may have signed already.")
@order_options
@password_options(new=True, whose="the root's")
def root_create(
    out: Path,
    description_path: Path | None,
    device: str | None,
    register_lost: bool,
    order_options: OrderOptions,
    source: PasswordSource,
) -> None:
    """Create a root. That is a key and a self-signed certificate, in a new folder or with the key on a module."""
    described = options.description("root", description_path)
    if device is not None:
        _root_on_module(device, out, described, order_options, source, register_lost)
        return
    if register_lost:
        raise UsageError("--register-lost is for a root module.", advice="Add --device.")
    folder_files.refuse_existing(out)
    order_options.refuse()
    root = create_root(out, described, source.choose("Password for the root key"), options.now())
    say(f"Root created in {root.path}: {printable(root.name)}, key id {key_id(root.public_key).hex()}.")


def _root_on_module(
    device: str,
    out: Path,
    described: CertificateDescription,
    order_options: OrderOptions,
    source: PasswordSource,
    register_lost: bool,
) -> None:
    order_options.look_first(device, source, read_root_module)
    made = create_root_module(
        device,
        out,
        order_options.order(source),
        described,
        now=options.now(),
        consent=order_options.consent,
        register_lost=register_lost,
    )
    with made.module as module:
        what = f"{done_text(made)}: {printable(module.name)}{signatures_of(module)}"
        say(f"Root module {module.serial.hex().upper()} {what}.")
        say(f"Its certificate and the register of its signers are in {out}.")
    if register_lost and made.already:
        say("The register is empty: give every new signer an unused id with --signer-id.", err=True)
