"""`signer-module signer request` and `signer import`: a signer whose certificate an external CA signs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.bounded_reading import is_file, read_bytes, status
from atcaprov.certs import certificate_files
from atcaprov.certs.descriptions import template
from atcaprov.certs.keys import raw_public_key
from atcaprov.config_zone.locks import is_config_locked
from atcaprov.device.device import Device
from atcaprov.errors import CertificateError, Code, UsageError
from atcaprov.program.console_text import say
from atcaprov.terminal.printable import printable
from signer_module.commands import options
from signer_module.commands.create_signer import tell_folder
from signer_module.commands.module_options import OrderOptions, device_option, order_options, require_one_of, warnings
from signer_module.commands.options import FILE, FOLDER, PIN_PROMPT, hsm_options
from signer_module.commands.password_options import PasswordSource, password_options
from signer_module.expiry_warnings import end_of, outliving, reader_note
from signer_module.export import export_signer
from signer_module.external_ca.chain import ExternalChain, authorities_of, require_all_usages
from signer_module.hsm.signer import import_to_folder, request_from_hsm
from signer_module.on_chip.creation.chip_check import read_signer_module
from signer_module.on_chip.creation.external_ca import import_signer_certificate, rehearse_import, request_certificate
from signer_module.on_chip.creation.plan import plan
from signer_module.on_files import folder_files
from signer_module.on_files.pkcs11_file import KeyPlace
from signer_module.signer_description import SignerDescriptions

_BY_IMPORT: Final = "later, by 'signer import', "
_UNTIL_THEN: Final = "Until then keep the chip locked away: anyone who holds it can sign with its key."


@click.command("request")
@device_option
@hsm_options
@click.option("--out", type=FILE, required=True, help="File for the request (PKCS#10, PEM).")
@click.option("--signer-id", metavar="HHHH", required=True, help="Four hexadecimal digits, agreed with the CA.")
@options.chain_option("Certificates of the CA, up to its root, checked before the chip is changed. May be repeated.")
@click.option("--signer-description", type=FILE, help="TOML description of the signer's certificate.")
@click.option("--device-description", type=FILE, help="TOML description of its devices' certificates, for --chain.")
@click.option("--new-key", is_flag=True, help="Replace the key of an earlier request; its certificate becomes useless.")
@order_options
@password_options(new=True, whose="the module's")
def signer_request(
    device: str | None,
    hsm: KeyPlace | None,
    out: Path,
    signer_id: str,
    chain_paths: tuple[Path, ...],
    new_key: bool,
    signer_description: Path | None,
    device_description: Path | None,
    order_options: OrderOptions,
    source: PasswordSource,
) -> None:
    """Begin a signer for an external CA. Its key is made in a chip or an HSM, and a request that the CA certifies."""
    chosen = options.parse_signer_id(signer_id)
    assert chosen is not None
    if device_description is not None and not chain_paths:
        raise UsageError("--device-description is used with --chain only.", advice="Add the CA's certificates.")
    description = options.description("signer", signer_description)
    earlier = _earlier_key(out)
    _require_one_place(device, hsm, source)
    if chain_paths:
        descriptions = SignerDescriptions(description, options.description("device", device_description))
        _check_authorities(chain_paths, descriptions, on_chip=hsm is None)
    if hsm is not None:
        order_options.refuse()
        if new_key:
            raise UsageError("--new-key is only for a chip.", advice="In an HSM, give a new key a new label.")
        folder_files.require_room(out)
        der = request_from_hsm(hsm, lambda: source.read(PIN_PROMPT), description, chosen, earlier)
        _write_request(out, der)
        return
    assert device is not None
    folder_files.require_room(out)
    order_options.look_first(device, source)
    wanted = order_options.order(source)
    with Device.open(device) as chip:
        if earlier is not None and not new_key:
            _refuse_request_of_another(chip, out)
        key_plan = _key_plan(out, earlier, new_key)
        order_options.consent(plan(chip, wanted, "the certificate of the CA", key=key_plan, later=_BY_IMPORT))
        request = request_certificate(
            chip, wanted, description, signer_id=chosen, wanted=lambda key: key == earlier, new_key=new_key
        )
    _write_request(out, request.der)
    say(_UNTIL_THEN, err=True)
    counted = request.signatures
    if counted not in (None, 1):
        say(f"It has counted {counted} signatures: add --signatures {counted} there.", err=True)


def _check_authorities(paths: tuple[Path, ...], descriptions: SignerDescriptions, *, on_chip: bool) -> None:
    """Refuse a CA that cannot issue signers, before a chip is changed for it."""
    given = [der for path in paths for der in certificate_files.read_certificates(path)]
    authorities = authorities_of(given, options.now())
    require_all_usages(authorities, descriptions.device)
    if on_chip:
        rehearse_import(descriptions, authorities[0], options.now())


def _write_request(out: Path, der: bytes) -> None:
    folder_files.replace(out, x509.load_der_x509_csr(der).public_bytes(Encoding.PEM))
    say(f"Request written to {out}. Import the CA's certificate with 'signer-module signer import'.")


def _require_one_place(device: str | None, hsm: KeyPlace | None, source: PasswordSource) -> None:
    require_one_of(
        {"a module with --device": device, "an HSM with --pkcs11-library, --pkcs11-token and --pkcs11-key": hsm}
    )
    if hsm is not None and source.none:
        raise UsageError("A key in an HSM has a PIN: --no-password cannot be used for it.")


@click.command("import")
@device_option
@hsm_options
@click.option("--certificate", type=FILE, required=True, help="The signer's certificate, alone or with its chain.")
@options.chain_option("Certificates of the CA, up to its root, in any order. May be repeated.")
@click.option("--out", type=FOLDER, help="New folder: for a module an export with the chain, for an HSM the signer.")
@click.option("--signer-description", type=FILE, help="TOML description of the signer's certificate.")
@click.option("--device-description", type=FILE, help="TOML description of its devices' certificates.")
@click.option(
    "--signatures",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Signatures that a chip with quota has counted, one for each request and interrupted import. Default: 1.",
)
@order_options
@password_options(new=True, whose="the module's")
def signer_import(
    device: str | None,
    hsm: KeyPlace | None,
    certificate: Path,
    chain_paths: tuple[Path, ...],
    signatures: int,
    out: Path | None,
    signer_description: Path | None,
    device_description: Path | None,
    order_options: OrderOptions,
    source: PasswordSource,
) -> None:
    """Finish a signer that a request began. It gets the certificate that the CA made of the request."""
    descriptions = options.descriptions(signer_description, device_description)
    _require_one_place(device, hsm, source)
    if out is not None and hsm is None:
        folder_files.require_new_folder(out)
    given = [der for path in (certificate, *chain_paths) for der in certificate_files.read_certificates(path)]
    chain = ExternalChain.of(given, options.now())
    chain.require_usages(descriptions.device)
    if hsm is not None:
        order_options.refuse()
        if out is None:
            raise UsageError("The folder for the signer is not given.", advice="Give --out.")
        signer = import_to_folder(out, hsm, lambda: source.read(PIN_PROMPT), descriptions, chain)
        tell_folder(signer, chain.above)
        return
    assert device is not None
    _import_to_module(device, order_options, source, descriptions, chain, signatures, out)


def _import_to_module(
    device: str,
    order_options: OrderOptions,
    source: PasswordSource,
    descriptions: SignerDescriptions,
    chain: ExternalChain,
    signatures: int,
    out: Path | None,
) -> None:
    order_options.look_first(device, source, lambda chip: read_signer_module(chip, None), begun=True)
    now = options.now()
    above = min(map(end_of, chain.authorities))
    device_definition = template.device_definition(descriptions.device, signer=descriptions.signer, at=now)
    end = end_of(chain.signer)
    signer_definition = template.signer_definition(
        descriptions.signer, root_name=x509.load_der_x509_certificate(chain.issuer).subject, at=now
    )
    ends = [
        *reader_note(end, signer_definition, device_definition, now),
        *warnings(outliving(end, above, device_definition, now)),
    ]
    made = import_signer_certificate(
        device,
        order_options.order(source),
        descriptions,
        chain=chain,
        signatures=signatures,
        consent=lambda plan: order_options.consent([*plan, *ends]),
    )
    with made.module as module:
        done = "is finished already" if made.already else "finished"
        say(
            f"Signer module {module.serial.hex().upper()} {done}: {printable(module.name)}, "
            f"signer id {module.signer_id.hex().upper()}."
        )
        if out is not None:
            export_signer(module, out, chain=chain.authorities)
            say(f"Its certificates and definitions are in {out}.")


def _key_plan(out: Path, earlier: bytes | None, new_key: bool) -> str:
    """Return the line of the plan about the key of a chip that was begun."""
    stays = f"its private key stays if {out} is the request for it"
    if new_key:
        made = "it gets a new private key: the certificate for an earlier request becomes worthless"
        return made if earlier is None else f"{stays}; otherwise {made}"
    return f"{stays}; if it has none, one is made" if earlier else "its private key is made if it has none"


def _earlier_key(out: Path) -> bytes | None:
    """Return the key (64 bytes) of an existing request, which a repeated request keeps: the CA may know it."""
    try:
        if status(out) is None:
            return None
        key = x509.load_pem_x509_csr(read_bytes(out) if is_file(out) else b"").public_key()
        if isinstance(key, ec.EllipticCurvePublicKey):
            return raw_public_key(key)
    except (*certificate_files.UNREADABLE, CertificateError):
        pass
    raise UsageError(
        f"{out} already exists and is not a request for a key on P-256.",
        advice="Choose another file.",
        code=Code.FILE_UNWRITABLE,
    )


def _refuse_request_of_another(chip: Device, out: Path) -> None:
    """Raise UsageError if a chip is blank: the existing request is for another chip, which still needs it."""
    if not is_config_locked(chip.read_config()):
        raise UsageError(
            f"{out} is the request for a key in another chip. This chip has no key yet.",
            advice="Choose another file.",
            code=Code.KEY_MISMATCH,
        )
