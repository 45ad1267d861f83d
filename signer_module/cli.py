"""The program `signer-module`: make roots and signers on files, export what products need, show what is there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from atcaprov import __version__
from atcaprov.certs.description import CertificateDescription, default_description, default_text
from atcaprov.certs.keys import key_id
from atcaprov.errors import AtcaProvError, UsageError
from signer_module import files, passwords, report
from signer_module.export import export_signer
from signer_module.key_file import SoftwareKey, key_is_encrypted, load_key
from signer_module.root import RootFolder, create_root
from signer_module.signer import SignerDescriptions, create_signer
from signer_module.signer_folder import SignerFolder

INTERRUPTED: Final = 130
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="signer-module")
def cli() -> None:
    """Create a root and signers on files, and export what clients and products need of them."""


@cli.group("root")
def root_group() -> None:
    """The root: its key signs signer certificates."""


@cli.group("signer")
def signer_group() -> None:
    """Signers: their keys sign device certificates."""


@root_group.command("create")
@click.option("--out", type=_FOLDER, required=True, help="New folder for the root.")
@click.option("--description", type=_FILE, help="TOML description of the certificate; without it the default.")
@passwords.password_options(new=True, whose="the root's")
def root_create(
    out: Path, description: Path | None, password_file: Path | None, password_fd: int | None, no_password: bool
) -> None:
    """Create a root: a key and a self-signed certificate in a new folder."""
    files.refuse_existing(out)
    described = _description("root", description)
    password = passwords.source(password_file, password_fd, no_password).choose("Password for the root key")
    root = create_root(out, described, password, _now())
    click.echo(f"Root created in {root.path}: {root.name}, key id {key_id(root.public_key).hex()}.")


@signer_group.command("create")
@click.option("--root", "root_path", type=_FOLDER, required=True, help="Folder of the root.")
@click.option("--out", type=_FOLDER, required=True, help="New folder for the signer.")
@click.option("--signer-id", metavar="HHHH", help="Four hexadecimal digits; without it the lowest free id.")
@click.option("--signer-description", type=_FILE, help="TOML description of the signer's certificate.")
@click.option("--device-description", type=_FILE, help="TOML description of its devices' certificates.")
@click.option("--key", "key_path", type=_FILE, help="Use this P-256 key instead of a new one.")
@click.option("--index", type=click.IntRange(0, 999), default=0, help="N of atcaprov_cert_info_N.c (0).")
@passwords.password_options("key-", new=False, whose="the given key's")
@passwords.password_options("root-", new=False, whose="the root's")
@passwords.password_options(new=True, whose="the signer's")
def signer_create(
    root_path: Path,
    out: Path,
    signer_id: str | None,
    signer_description: Path | None,
    device_description: Path | None,
    key_path: Path | None,
    index: int,
    password_file: Path | None,
    password_fd: int | None,
    no_password: bool,
    root_password_file: Path | None,
    root_password_fd: int | None,
    key_password_file: Path | None,
    key_password_fd: int | None,
) -> None:
    """Create a signer: a key and a certificate that the root signs, in a new folder."""
    files.refuse_existing(out)
    chosen = _signer_id(signer_id)
    descriptions = SignerDescriptions(
        _description("signer", signer_description), _description("device", device_description)
    )
    root = RootFolder.load(root_path)
    root_source = passwords.source(root_password_file, root_password_fd)
    root_key = root.unlock(root_source.read("Password of the root key") if root.key_is_encrypted else None)
    key = _signer_key(key_path, passwords.source(key_password_file, key_password_fd))
    password = passwords.source(password_file, password_fd, no_password).choose("Password for the signer key")
    signer = create_signer(
        out,
        root=root,
        root_key=root_key,
        descriptions=descriptions,
        key=key,
        password=password,
        signer_id=chosen,
        now=_now(),
        index=index,
    )
    click.echo(
        f"Signer created in {signer.path}: {signer.name}, signer id {signer.signer_id.hex().upper()}, "
        f"serial {signer.serial.hex().upper()}."
    )


@cli.command("export")
@click.option("--signer", "signer_path", type=_FOLDER, required=True, help="Folder of the signer.")
@click.option("--out", type=_FOLDER, required=True, help="New folder for the export.")
@click.option("--index", type=click.IntRange(0, 999), default=0, help="N of atcaprov_cert_info_N.c (0).")
def export_command(signer_path: Path, out: Path, index: int) -> None:
    """Export certificates, the cert info file and the definitions as C and JSON; no private key."""
    for name in export_signer(SignerFolder.load(signer_path), out, index):
        click.echo(str(out / name))


@cli.command("info")
@click.argument("folder", type=_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def info_command(folder: Path, as_json: bool) -> None:
    """Show what a root's or signer's folder holds."""
    click.echo(report.show(folder, as_json=as_json))


@cli.command("description")
@click.argument("role", type=click.Choice(["root", "signer", "device"]))
def description_command(role: str) -> None:
    """Print a default description, to start an own one from."""
    click.echo(default_text("root" if role == "root" else "signer" if role == "signer" else "device"), nl=False)


def _description(role: str, path: Path | None) -> CertificateDescription:
    if path is None:
        return default_description("root" if role == "root" else "signer" if role == "signer" else "device")
    try:
        found = CertificateDescription.from_toml(files.read_text(path))
    except UsageError as error:
        raise UsageError(f"{path}: {error.what}", advice=error.advice, code=error.code) from error
    if found.role != role:
        raise UsageError(f"{path} describes a {found.role}, not a {role}.")
    return found


def _signer_key(path: Path | None, source: passwords.PasswordSource) -> SoftwareKey:
    if path is None:
        return SoftwareKey.generate()
    data = files.read_bytes(path)
    password = source.read("Password of the given key") if key_is_encrypted(data, str(path)) else None
    return load_key(data, password, str(path))


def _signer_id(text: str | None) -> bytes | None:
    if text is None:
        return None
    if len(text) != 4 or not all(character in "0123456789abcdefABCDEF" for character in text):
        raise UsageError(f"'{text}' is no signer id.", advice="Give four hexadecimal digits, for example 0034.")
    return bytes.fromhex(text)


def _now() -> datetime:
    return datetime.now(UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code: 0, 2 to 8 as the errors say, 130 when interrupted."""
    try:
        code = cli.main(list(arguments) if arguments is not None else None, "signer-module", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except AtcaProvError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
