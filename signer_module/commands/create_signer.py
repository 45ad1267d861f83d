"""`signer-module root create` and `signer create`, on files and on modules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.keys import key_id
from atcaprov.errors import UsageError
from atcaprov.program.console_text import say
from atcaprov.terminal.printable import printable
from signer_module.commands import options as inputs
from signer_module.commands.hsm_options import PIN_PROMPT, hsm_options
from signer_module.commands.module_options import OrderOptions, device_option, order_options, require_one_of, warnings
from signer_module.commands.options import FILE, FOLDER, SignerWishes, index_option, signer_options
from signer_module.commands.password_options import PasswordSource, password_options
from signer_module.commands.root_signer import require_left, root_signer
from signer_module.expiry_warnings import early_ends, end_from, end_of, of_signer
from signer_module.hsm.signer import create_in_hsm
from signer_module.on_chip.creation.chip_check import read_root_module, read_signer_module
from signer_module.on_chip.creation.plan import CreatedModule, create_root_module, create_signer_module
from signer_module.on_chip.module import RootModule, SignerModule
from signer_module.on_files import files
from signer_module.on_files.create_signer import create_signer, definitions_of
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.pkcs11_file import KeyPlace
from signer_module.on_files.root_folder import RootFolder, RootKey, create_root
from signer_module.on_files.signer_folder import SignerFolder


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
    described = inputs.description("root", description_path)
    if device is not None:
        _root_on_module(device, out, described, order_options, source, register_lost)
        return
    if register_lost:
        raise UsageError("--register-lost is for a root module.", advice="Add --device.")
    files.refuse_existing(out)
    order_options.refuse()
    root = create_root(out, described, source.choose("Password for the root key"), inputs.now())
    say(f"Root created in {root.path}: {printable(root.name)}, key id {key_id(root.public_key).hex()}.")


def _root_on_module(
    device: str,
    out: Path,
    described: CertificateDescription,
    options: OrderOptions,
    source: PasswordSource,
    register_lost: bool,
) -> None:
    options.look_first(device, source, read_root_module)
    made = create_root_module(
        device,
        out,
        options.order(source),
        described,
        now=inputs.now(),
        consent=options.consent,
        register_lost=register_lost,
    )
    with made.module as module:
        say(f"Root module {module.serial.hex().upper()} {_done(made)}: {printable(module.name)}{_left(module)}.")
        say(f"Its certificate and the register of its signers are in {out}.")
    if register_lost and made.already:
        say("The register is empty: give every new signer an id with --signer-id that none has.", err=True)


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
    wishes: SignerWishes,
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
        raise UsageError("The key of a module is made in its chip; --key does not go with --device.")
    if hsm is not None and (out is None or key_path is not None or source.none):
        raise UsageError("A key in an HSM is made there and has a PIN; it goes with --out alone.")
    if out is not None:
        order_options.refuse()
    if out is not None and hsm is None:
        files.refuse_existing(out)
    root = RootFolder.load(root_path)
    if device is not None:
        order_options.look_first(device, source, lambda chip: read_signer_module(chip, root.public_key))
    with root_signer(root, root_device, root_source) as root_key:
        if device is not None:
            _signer_on_module(device, root, root_key, wishes, order_options, source)
        elif out is not None and hsm is not None:
            _signer_in_hsm(out, root, root_key, wishes, hsm, source, index)
        elif out is not None:
            require_left(root_key)
            key = inputs.signer_key(key_path, key_source)
            _signer_on_files(out, root, root_key, wishes, key, source.choose("Password for the signer key"), index)


def _signer_on_module(
    device: str,
    root: RootFolder,
    root_key: RootKey,
    wishes: SignerWishes,
    options: OrderOptions,
    source: PasswordSource,
) -> None:
    now = inputs.now()

    def consent(plan: Sequence[str]) -> None:
        """Ask for the last word; a module that is finished needs neither it nor the root's signature."""
        require_left(root_key)
        signer, device_definition = definitions_of(root, wishes.descriptions, now)
        ends = early_ends(end_from(signer, now), end_of(root.certificate), device_definition, now)
        options.consent([*plan, *warnings(ends)])

    made = create_signer_module(
        device,
        options.order(source),
        root=root,
        sign=root_key.sign,
        descriptions=wishes.descriptions,
        signer_id=wishes.signer_id,
        now=now,
        consent=consent,
    )
    with made.module as module:
        say(
            f"Signer module {module.serial.hex().upper()} {_done(made)}: {printable(module.name)}, "
            f"signer id {module.signer_id.hex().upper()}{_left(module)}."
        )


def _signer_in_hsm(
    out: Path,
    root: RootFolder,
    root_key: RootKey,
    wishes: SignerWishes,
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
        descriptions=wishes.descriptions,
        signer_id=wishes.signer_id,
        now=inputs.now(),
        index=index,
    )
    tell_folder(signer)


def _signer_on_files(
    out: Path,
    root: RootFolder,
    root_key: RootKey,
    wishes: SignerWishes,
    key: SoftwareKey,
    password: bytes | None,
    index: int,
) -> None:
    signer = create_signer(
        out,
        root=root,
        root_key=root_key,
        descriptions=wishes.descriptions,
        key=key,
        password=password,
        signer_id=wishes.signer_id,
        now=inputs.now(),
        index=index,
    )
    tell_folder(signer)


def _done(made: CreatedModule[RootModule] | CreatedModule[SignerModule]) -> str:
    return "is finished already" if made.already else "created"


def _left(module: RootModule | SignerModule) -> str:
    """Say what the chip allows, whatever was ordered."""
    quota = module.read_quota()
    return "" if quota is None else f", {quota.remaining} signatures"


def tell_folder(signer: SignerFolder, authorities: Iterable[bytes] = ()) -> None:
    """Say that a signer folder is there; `authorities` are the CA certificates (DER) above its issuer's."""
    say(
        f"Signer created in {signer.path}: {printable(signer.name)}, signer id {signer.signer_id.hex().upper()}, "
        f"serial {signer.serial.hex().upper()}."
    )
    for line in warnings(of_signer(signer, inputs.now(), authorities)):
        say(line, err=True)
