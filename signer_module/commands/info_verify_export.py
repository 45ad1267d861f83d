"""`signer-module export`, `info`, `verify` and `backup-public`, for folders and modules."""

from __future__ import annotations

from pathlib import Path

import click

from atcaprov.errors import CertificateError, Code
from atcaprov.program.console_text import say
from signer_module.commands.module_options import device_option, needed_device, require_one, require_one_of
from signer_module.commands.options import FOLDER, chain_above, chain_option, index_option, now
from signer_module.commands.password_options import PasswordSource, password_options
from signer_module.expiry_warnings import end_of, reader_note
from signer_module.export import export_signer
from signer_module.folder_key import open_folder, prove
from signer_module.on_chip.info import AnyModule, module_facts, write_backup
from signer_module.on_chip.module import SignerModule, open_module
from signer_module.on_files import info
from signer_module.on_files.signer_folder import SignerFolder


@click.command("export")
@click.option("--signer", "signer_path", type=FOLDER, help="Folder of the signer.")
@device_option
@click.option("--out", type=FOLDER, required=True, help="New folder for the export.")
@index_option
@chain_option("Certificates above an external CA that issued the signer; written to chain.pem. May be repeated.")
def export_command(
    signer_path: Path | None, device: str | None, out: Path, index: int, chain_paths: tuple[Path, ...]
) -> None:
    """Export what clients and products need. Certificates, cert info file, definitions as C and JSON; no secret."""
    require_one_of({"a folder with --signer": signer_path, "a module with --device": device})
    if signer_path is not None:
        folder = SignerFolder.load(signer_path)
        names = export_signer(folder, out, index, chain_above(folder, chain_paths or folder.chain_paths))
    else:
        assert device is not None
        with SignerModule.open(device) as module:
            names = export_signer(module, out, index, chain_above(module, chain_paths))
    for name in names:
        say(str(out / name))


@click.command("info")
@click.argument("folder", type=FOLDER, required=False)
@device_option
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def info_command(folder: Path | None, device: str | None, as_json: bool) -> None:
    """Show what a root's or signer's folder or module holds."""
    require_one(folder, device)
    if folder is not None:
        say(info.show(folder, as_json=as_json, now=now()))
        return
    assert device is not None
    with open_module(device) as module:
        say(info.formatted(module_facts(module, now()), as_json=as_json))


@click.command("verify")
@click.argument("folder", type=FOLDER, required=False)
@device_option
@click.option("--public-only", is_flag=True, help="Check the public parts only, not the key; needs no password.")
@password_options(new=False, whose="the key's")
def verify_command(folder: Path | None, device: str | None, public_only: bool, source: PasswordSource) -> None:
    """Check a folder or a module. Locks, certificates, and that the key belongs to them."""
    require_one(folder, device)
    if folder is not None:
        opened = open_folder(folder)
        if not public_only:
            prove(opened, source.read("Password of the key") if opened.key_is_encrypted else None)
        say(f"{folder}: {_verdict(public_only)}")
        _tell_readers(opened)
        return
    assert device is not None
    with open_module(device) as module:
        if not public_only:
            _prove(module, source)
        say(f"Module {module.serial.hex().upper()}: {_verdict(public_only)}")
        _tell_readers(module)


def _tell_readers(opened: object) -> None:
    """Say which programs refuse the certificates of a signer for their dates."""
    if isinstance(opened, SignerFolder | SignerModule):
        end = end_of(opened.certificate)
        for line in reader_note(end, opened.signer_definition, opened.device_definition, now()):
            say(line, err=True)


def _verdict(public_only: bool) -> str:
    return "the public parts are good; the key was not checked." if public_only else "certificates and key are good."


def _prove(module: AnyModule, source: PasswordSource) -> None:
    if module.needs_password:
        module.unlock(source.read("Password of the module"))
    if not module.prove():
        raise CertificateError(
            "The private key in the chip does not belong to its certificate.",
            advice="Take the module out of use.",
            code=Code.KEY_MISMATCH,
        )


@click.command("backup-public")
@needed_device
@click.option("--out", type=FOLDER, required=True, help="New folder for the backup.")
@chain_option("Certificates above an external CA that issued the signer; written to chain.pem. May be repeated.")
def backup_command(device: str, out: Path, chain_paths: tuple[Path, ...]) -> None:
    """Copy the public parts of a module to a folder. The private key cannot be copied."""
    with open_module(device) as module:
        chain = chain_above(module, chain_paths) if isinstance(module, SignerModule) else ()
        for name in write_backup(module, out, chain):
            say(str(out / name))
