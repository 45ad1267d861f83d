"""`signer-module ceremony`: a root on a computer without network signs what comes and goes as files."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from atcaprov.bounded_reading import read_text
from atcaprov.certs import certificate_files
from atcaprov.certs.chain import verify_root
from atcaprov.certs.keys import key_id
from atcaprov.errors import CertificateError, Code, UsageError
from atcaprov.program.console_text import counted, say
from signer_module.ceremony.bundle import FORMAT as BUNDLE
from signer_module.ceremony.bundle import LONGEST_FILE, Bundle, decode, digest_words, encode
from signer_module.ceremony.certification_request import request_from_pem
from signer_module.ceremony.record import CeremonyRecord, require_people
from signer_module.ceremony.signed_bundle import FORMAT as SIGNED
from signer_module.ceremony.signed_bundle import SignedBundle
from signer_module.ceremony.signing import check_bundle, sign_bundle, signed_before
from signer_module.ceremony.texts import bundle_lines, signed_lines, signing_lines
from signer_module.commands import options
from signer_module.commands.options import FILE, FOLDER
from signer_module.commands.password_options import PasswordSource, password_options
from signer_module.commands.root_key import opened_root_key, require_left
from signer_module.on_files import folder_files
from signer_module.on_files.root_folder import RootFolder

_CONFIRM_DIGITS: Final = 16
"""64 bits: with 8 digits a changed bundle with the same end could be found in minutes."""
RECORD_FILE: Final = "record.json"
ROOT_FILE: Final = "root.pem"


@click.group("ceremony")
def ceremony_group() -> None:
    """A root without network: bundles that it signs."""


@ceremony_group.command("export")
@click.option("--request", "paths", type=FILE, required=True, multiple=True, help="A signer's request. Repeat it.")
@click.option("--signer-description", type=FILE, help="TOML description of the signers' certificates.")
@click.option("--device-description", type=FILE, help="TOML description of their devices', or a product profile.")
@click.option("--out", type=FILE, required=True, help="File for the bundle that goes to the root.")
def ceremony_export(
    paths: tuple[Path, ...], signer_description: Path | None, device_description: Path | None, out: Path
) -> None:
    """Put requests into a bundle for the root."""
    descriptions = options.descriptions(signer_description, device_description)
    requests = []
    for path in paths:
        try:
            requests.append(request_from_pem(read_text(path), descriptions.signer))
        except CertificateError as error:
            raise CertificateError(f"{path}: {error.what}", advice=error.advice, code=error.code) from error
    bundle = Bundle(options.now().replace(microsecond=0), descriptions, tuple(requests))
    folder_files.replace(out, bundle.encode().encode())
    _say_all(bundle_lines(bundle))
    say(f"Bundle written to {out}. Write the digest down: whoever signs compares it.")


@ceremony_group.command("show")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--root-certificate", type=FILE, help="The root that is trusted; a bundle of another one is refused.")
def ceremony_show(path: Path, root_certificate: Path | None) -> None:
    """Check a bundle, and show what is in it."""
    text = read_text(path, LONGEST_FILE)
    kind, _ = decode(text, BUNDLE, SIGNED)
    if kind == BUNDLE:
        _say_all(bundle_lines(Bundle.decode(text)))
        return
    signed = SignedBundle.decode(text)
    _require_trusted(signed, root_certificate)
    _say_all(signed_lines(signed))
    say("The root has signed each certificate and the record.")


@ceremony_group.command("sign")
@click.argument("path", metavar="BUNDLE", type=FILE)
@click.option("--root", "root_path", type=FOLDER, required=True, help="Folder of the root.")
@click.option("--root-device", metavar="URL", help="Device URL of the root module, if the root's key is on one.")
@click.option("--witness", "witnesses", metavar="NAME", multiple=True, help="Who is there. Name at least two people.")
@click.option("--alone", is_flag=True, help="Accept one person.")
@click.option("--place", required=True, help="Where this is done.")
@click.option("--reason", required=True, help="Why these signers are made.")
@click.option("--accept-clock", metavar="REASON", default="", help="Why this clock is right though it is far off.")
@click.option("--confirm", metavar="DIGITS", help="The last 16 digits of the bundle's digest, in place of typing them.")
@click.option("--out", type=FILE, required=True, help="File for the signed bundle.")
@password_options("root-", new=False, whose="the root's")
def ceremony_sign(
    path: Path,
    root_path: Path,
    root_device: str | None,
    witnesses: tuple[str, ...],
    alone: bool,
    place: str,
    reason: str,
    accept_clock: str,
    confirm: str | None,
    out: Path,
    root_source: PasswordSource,
) -> None:
    """Sign a bundle. The same one gets the same answer."""
    bundle = Bundle.decode(read_text(path, LONGEST_FILE))
    root = RootFolder.load(root_path)
    signed = signed_before(root, bundle)
    if signed is None:
        people = tuple(witnesses)
        require_people(people, alone=alone)
        record = CeremonyRecord.of(_begun(root, bundle, place, reason, people, accept_clock).document())
        signed = _sign(root, root_device, root_source, bundle, record, confirm)
    else:
        say("This root has signed this bundle before: nothing is signed again.", err=True)
    folder_files.replace(out, signed.encode().encode())
    _say_all(signed_lines(signed))
    say(f"Signed bundle written to {out}.")


def _sign(
    root: RootFolder,
    root_device: str | None,
    root_source: PasswordSource,
    bundle: Bundle,
    record: CeremonyRecord,
    confirm: str | None,
) -> SignedBundle:
    definition = check_bundle(root, bundle, record.time, record.clock_reason)
    _say_all(signing_lines(bundle, definition, record.time), err=True)
    _require_confirmed(bundle, confirm)
    with opened_root_key(root, root_device, root_source) as root_key:
        require_left(root_key)
        return sign_bundle(root, root_key, bundle, definition, record)


def _begun(
    root: RootFolder, bundle: Bundle, place: str, reason: str, witnesses: tuple[str, ...], clock_reason: str
) -> CeremonyRecord:
    now = options.now().replace(microsecond=0)
    return CeremonyRecord(now, place, reason, witnesses, bundle.digest, key_id(root.public_key).hex(), (), clock_reason)


def _require_confirmed(bundle: Bundle, confirm: str | None) -> None:
    """Have the end of the digest typed from the paper that came with the bundle; raises UsageError."""
    wanted = digest_words(bundle.digest).replace(" ", "")[-_CONFIRM_DIGITS:]
    if confirm is None:
        if not sys.stdin.isatty():
            raise UsageError("There is no terminal for the confirmation.", advice="Give the digits with --confirm.")
        question = f"Type the last {_CONFIRM_DIGITS} digits of the digest, from the paper that came with the bundle"
        confirm = click.prompt(question, default="", show_default=False, err=True)
    if "".join(str(confirm).split()).upper() != wanted:
        raise UsageError(
            "The digits are not those of this bundle. Nothing was signed.",
            advice="Compare the whole digest with the one that was written down when the bundle was made.",
            code=Code.BUNDLE_CHANGED,
        )


@ceremony_group.command("import")
@click.argument("path", metavar="SIGNED", type=FILE)
@click.option("--root-certificate", type=FILE, required=True, help="The root that is trusted, as you know it.")
@click.option("--out", type=FOLDER, required=True, help="New folder for certificates, root and record.")
def ceremony_import(path: Path, root_certificate: Path, out: Path) -> None:
    """Write the certificates of a signed bundle."""
    signed = SignedBundle.decode(read_text(path, LONGEST_FILE))
    _require_trusted(signed, root_certificate)
    record = {"record": signed.record.document(), "record_signature": signed.signature.hex()}
    files = {
        ROOT_FILE: (folder_files.pem_certificate(signed.root), folder_files.PUBLIC),
        RECORD_FILE: (encode(record).encode(), folder_files.PUBLIC),
    }
    for request, certificate in zip(signed.bundle.requests, signed.certificates, strict=True):
        name = f"signer-{request.signer_id.hex().upper()}.pem"
        files[name] = (folder_files.pem_certificate(certificate), folder_files.PUBLIC)
    with folder_files.new_folder(out, 0o755) as folder:
        folder_files.write_all(folder, files, named=out)
    _say_all(signed_lines(signed))
    say(f"{counted(len(signed.certificates), 'certificate')} written to {out}. Finish each signer:")
    for request in signed.bundle.requests:
        certificate_path = out / f"signer-{request.signer_id.hex().upper()}.pem"
        say(f"  signer-module signer import --certificate {certificate_path} --chain {out / ROOT_FILE} --device URL")


def _require_trusted(signed: SignedBundle, path: Path | None) -> None:
    if path is None:
        return
    root = certificate_files.read_certificate(path)
    signed.require_root(verify_root(root))


def _say_all(lines: Iterable[str], *, err: bool = False) -> None:
    for line in lines:
        say(line, err=err)
