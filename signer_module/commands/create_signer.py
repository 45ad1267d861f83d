"""`signer-module signer create`: a signer that a root of ours certifies, on files, on a module or in an HSM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from atcaprov.bounded_reading import read_bytes
from atcaprov.errors import UsageError
from atcaprov.program.console_text import say
from atcaprov.terminal.printable import printable
from signer_module.commands import options
from signer_module.commands.module_options import (
    OrderOptions,
    device_option,
    done_text,
    order_options,
    require_one_of,
    signatures_of,
    warnings,
)
from signer_module.commands.options import (
    FILE,
    FOLDER,
    PIN_PROMPT,
    SignerOptions,
    hsm_options,
    index_option,
    signer_options,
)
from signer_module.commands.password_options import PasswordSource, password_options
from signer_module.commands.root_key import opened_root_key, require_left
from signer_module.expiry_warnings import end_from, end_of, of_signer, outliving, reader_note
from signer_module.hsm.signer import create_in_hsm
from signer_module.on_chip.creation.chip_check import read_signer_module
from signer_module.on_chip.creation.signer_module import create_signer_module
from signer_module.on_files import folder_files
from signer_module.on_files.create_signer import create_signer, definitions_of
from signer_module.on_files.key_file import SoftwareKey, key_is_encrypted, load_key
from signer_module.on_files.pkcs11_file import KeyPlace
from signer_module.on_files.root_folder import RootFolder, RootKey
from signer_module.on_files.signer_folder import SignerFolder


@click.command("create")
@click.option("--root", "root_path", type=FOLDER, required=True, help="Folder of the root.")
@click.option("--root-device", metavar="URL", help="Device URL of the root module, if the root's key is on one.")
@click.option("--out", type=FOLDER, help="New folder for a signer on files or with its key in an HSM.")
@device_option
@signer_options
@hsm_options
@click.option("--key", "key_path", type=FILE, help="Use this P-256 key instead of a new one; on files only.")
@index_option
@order_options
@password_options("key-", new=False, whose="the given key's")
@password_options("root-", new=False, whose="the root's")
@password_options(new=True, whose="the signer's")
def signer_create(
    root_path: Path,
    root_device: str | None,
    out: Path | None,
    device: str | None,
    signer_options: SignerOptions,
    hsm: KeyPlace | None,
    key_path: Path | None,
    index: int,
    order_options: OrderOptions,
    source: PasswordSource,
    root_source: PasswordSource,
    key_source: PasswordSource,
) -> None:
    """Create a signer that a root certifies. Its key is in a new folder, on a module, or in an HSM."""
    require_one_of({"a new folder with --out": out, "a module with --device": device})
    if device is not None and key_path is not None:
        raise UsageError("The key of a module is made in its chip. Use --key without --device.")
    if hsm is not None and (out is None or key_path is not None or source.none):
        raise UsageError("A key in an HSM is made there and has a PIN: give --out, without --key and --no-password.")
    if out is not None:
        order_options.refuse()
    if out is not None and hsm is None:
        folder_files.refuse_existing(out)
    root = RootFolder.load(root_path)
    if device is not None:
        order_options.look_first(device, source, lambda chip: read_signer_module(chip, root.public_key))
    with opened_root_key(root, root_device, root_source) as root_key:
        if device is not None:
            _signer_on_module(device, root, root_key, signer_options, order_options, source)
        elif out is not None and hsm is not None:
            _signer_in_hsm(out, root, root_key, signer_options, hsm, source, index)
        elif out is not None:
            require_left(root_key)
            key = _signer_key(key_path, key_source)
            _signer_on_files(
                out, root, root_key, signer_options, key, source.choose("Password for the signer key"), index
            )


def _signer_on_module(
    device: str,
    root: RootFolder,
    root_key: RootKey,
    signer_options: SignerOptions,
    order_options: OrderOptions,
    source: PasswordSource,
) -> None:
    now = options.now()

    def consent(plan: Sequence[str]) -> None:
        """Ask for consent; a finished module needs neither consent nor the root's signature."""
        require_left(root_key)
        signer, device_definition = definitions_of(root, signer_options.descriptions, now)
        end = end_from(signer, now)
        ends = outliving(end, end_of(root.certificate), device_definition, now)
        order_options.consent([*plan, *reader_note(end, signer, device_definition, now), *warnings(ends)])

    made = create_signer_module(
        device,
        order_options.order(source),
        root=root,
        sign=root_key.sign,
        descriptions=signer_options.descriptions,
        signer_id=signer_options.signer_id,
        now=now,
        consent=consent,
    )
    with made.module as module:
        say(
            f"Signer module {module.serial.hex().upper()} {done_text(made)}: {printable(module.name)}, "
            f"signer id {module.signer_id.hex().upper()}{signatures_of(module)}."
        )


def _signer_in_hsm(
    out: Path,
    root: RootFolder,
    root_key: RootKey,
    signer_options: SignerOptions,
    place: KeyPlace,
    source: PasswordSource,
    index: int,
) -> None:
    signer = create_in_hsm(
        out,
        place,
        lambda: source.read(PIN_PROMPT),
        root=root,
        root_key=root_key,
        require_left=require_left,
        descriptions=signer_options.descriptions,
        signer_id=signer_options.signer_id,
        now=options.now(),
        index=index,
    )
    tell_folder(signer)


def _signer_on_files(
    out: Path,
    root: RootFolder,
    root_key: RootKey,
    signer_options: SignerOptions,
    key: SoftwareKey,
    password: bytes | None,
    index: int,
) -> None:
    signer = create_signer(
        out,
        root=root,
        root_key=root_key,
        descriptions=signer_options.descriptions,
        key=key,
        password=password,
        signer_id=signer_options.signer_id,
        now=options.now(),
        index=index,
    )
    tell_folder(signer)


def tell_folder(signer: SignerFolder, authorities: Iterable[bytes] = ()) -> None:
    """Say that a signer folder was created; `authorities` are the CA certificates (DER) above its issuer's."""
    say(
        f"Signer created in {signer.path}: {printable(signer.name)}, signer id {signer.signer_id.hex().upper()}, "
        f"serial {signer.serial.hex().upper()}."
    )
    now = options.now()
    note = reader_note(end_of(signer.certificate), signer.signer_definition, signer.device_definition, now)
    for line in (*note, *warnings(of_signer(signer, now, authorities))):
        say(line, err=True)


def _signer_key(path: Path | None, source: PasswordSource) -> SoftwareKey:
    """Return the key of a file, or a new one; raises UsageError."""
    if path is None:
        return SoftwareKey.generate()
    data = read_bytes(path)
    password = source.read("Password of the given key") if key_is_encrypted(data, str(path)) else None
    return load_key(data, password, str(path))
