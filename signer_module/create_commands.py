"""`signer-module root create` and `signer create`, on files and on modules."""

from __future__ import annotations

from pathlib import Path

import click

from atcaprov.certs.keys import key_id
from atcaprov.errors import UsageError
from signer_module import cli_inputs, files, passwords
from signer_module.cli_inputs import FILE, FOLDER
from signer_module.device_creation import Consent, create_root_module, create_signer_module, root_signer
from signer_module.device_options import consent, device_option, order, order_options
from signer_module.making import ModuleOrder
from signer_module.module import ModuleSigner
from signer_module.root import RootFolder, create_root
from signer_module.signer import create_signer
from signer_module.signer_folder import SignerFolder


@click.command("create")
@click.option("--out", type=FOLDER, required=True, help="New folder for the root.")
@click.option("--description", "description_path", type=FILE, help="TOML description; without it the default.")
@device_option
@order_options
@passwords.password_options(new=True, whose="the root's")
def root_create(
    out: Path,
    description_path: Path | None,
    device: str | None,
    quota: int | None,
    password_later: bool,
    scrypt_cost: int,
    yes: bool,
    password_file: Path | None,
    password_fd: int | None,
    no_password: bool,
) -> None:
    """Create a root: a key and a self-signed certificate, in a new folder or with the key on a module."""
    files.refuse_existing(out)
    described = cli_inputs.description("root", description_path)
    source = passwords.source(password_file, password_fd, no_password)
    if device is None:
        _refuse_order(quota, password_later)
        root = create_root(out, described, source.choose("Password for the root key"), cli_inputs.now())
        click.echo(f"Root created in {root.path}: {root.name}, key id {key_id(root.public_key).hex()}.")
        return
    wanted = order(source, quota=quota, password_later=password_later, scrypt_cost=scrypt_cost)
    agree = _consent(yes)
    with create_root_module(device, out, wanted, described, cli_inputs.now(), agree) as module:
        click.echo(f"Root module {module.serial.hex().upper()} created: {module.name}{_left(wanted)}.")
        click.echo(f"Its certificate and the register of its signers are in {out}.")


@click.command("create")
@click.option("--root", "root_path", type=FOLDER, required=True, help="Folder of the root.")
@click.option("--root-device", metavar="URL", help="Device URL of the root module, if the root's key is on one.")
@click.option("--out", type=FOLDER, help="New folder for a signer on files.")
@device_option
@click.option("--signer-id", metavar="HHHH", help="Four hexadecimal digits; without it the lowest free id.")
@click.option("--signer-description", type=FILE, help="TOML description of the signer's certificate.")
@click.option("--device-description", type=FILE, help="TOML description of its devices' certificates.")
@click.option("--key", "key_path", type=FILE, help="Use this P-256 key instead of a new one; on files only.")
@click.option("--index", type=click.IntRange(0, 999), default=0, help="N of atcaprov_cert_info_N.c (0).")
@order_options
@passwords.password_options("key-", new=False, whose="the given key's")
@passwords.password_options("root-", new=False, whose="the root's")
@passwords.password_options(new=True, whose="the signer's")
def signer_create(
    root_path: Path,
    root_device: str | None,
    out: Path | None,
    device: str | None,
    signer_id: str | None,
    signer_description: Path | None,
    device_description: Path | None,
    key_path: Path | None,
    index: int,
    quota: int | None,
    password_later: bool,
    scrypt_cost: int,
    yes: bool,
    password_file: Path | None,
    password_fd: int | None,
    no_password: bool,
    root_password_file: Path | None,
    root_password_fd: int | None,
    key_password_file: Path | None,
    key_password_fd: int | None,
) -> None:
    """Create a signer that the root certifies: in a new folder, or on a module."""
    if (out is None) == (device is None):
        raise UsageError("A signer is made either on files or on a module.", advice="Give --out or --device.")
    if out is not None:
        files.refuse_existing(out)
    chosen = cli_inputs.parse_signer_id(signer_id)
    descriptions = cli_inputs.descriptions(signer_description, device_description)
    root = RootFolder.load(root_path)
    source = passwords.source(password_file, password_fd, no_password)
    root_source = passwords.source(root_password_file, root_password_fd)
    with root_signer(root, root_device, root_source) as root_key:
        if device is not None:
            if key_path is not None:
                raise UsageError("The key of a module is made in its chip; --key does not go with --device.")
            wanted = order(source, quota=quota, password_later=password_later, scrypt_cost=scrypt_cost)
            with create_signer_module(
                device,
                wanted,
                root=root,
                sign=root_key.sign,
                descriptions=descriptions,
                signer_id=chosen,
                now=cli_inputs.now(),
                consent=_consent(yes),
            ) as module:
                _tell_module(module, wanted)
            return
        _refuse_order(quota, password_later)
        key = cli_inputs.signer_key(key_path, passwords.source(key_password_file, key_password_fd))
        assert out is not None
        signer = create_signer(
            out,
            root=root,
            root_key=root_key,
            descriptions=descriptions,
            key=key,
            password=source.choose("Password for the signer key"),
            signer_id=chosen,
            now=cli_inputs.now(),
            index=index,
        )
        _tell_folder(signer)


def _refuse_order(quota: int | None, password_later: bool) -> None:
    if quota is not None or password_later:
        raise UsageError(
            "--quota and --password-later are for modules: only a chip can enforce them.", advice="Add --device."
        )


def _consent(given: bool) -> Consent:
    return lambda plan: consent(plan, given=given)


def _left(wanted: ModuleOrder) -> str:
    return f", {wanted.quota} signatures" if wanted.quota is not None else ""


def _tell_module(module: ModuleSigner, wanted: ModuleOrder) -> None:
    click.echo(
        f"Signer module {module.serial.hex().upper()} created: {module.name}, "
        f"signer id {module.signer_id.hex().upper()}{_left(wanted)}."
    )


def _tell_folder(signer: SignerFolder) -> None:
    click.echo(
        f"Signer created in {signer.path}: {signer.name}, signer id {signer.signer_id.hex().upper()}, "
        f"serial {signer.serial.hex().upper()}."
    )
