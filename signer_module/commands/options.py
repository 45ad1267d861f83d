"""Options that several commands share, and the values that their arguments stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import click

from atcaprov.bounded_reading import read_text
from atcaprov.certs import certificate_files
from atcaprov.certs.descriptions.description import CertificateDescription, default_description
from atcaprov.errors import UsageError
from atcaprov.product_profile.profile_file import is_profile, profile_from_toml
from signer_module.commands.option_groups import Option, option_group
from signer_module.external_ca.chain import ExternalChain
from signer_module.on_files.pkcs11_file import KeyPlace
from signer_module.signer_description import PublicSigner, SignerDescriptions

FOLDER: Final = click.Path(path_type=Path, file_okay=False)
FILE: Final = click.Path(path_type=Path, dir_okay=False)
index_option: Final = click.option(
    "--index",
    metavar="N",
    type=click.IntRange(0, 999),
    default=0,
    show_default=True,
    help="N of atcaprov_cert_info_N.c.",
)
PIN_PROMPT: Final = "PIN of the token"

hsm_options = option_group(
    "hsm",
    lambda **values: KeyPlace.named(*values.values()),
    {
        "pkcs11_library": click.option(
            "--pkcs11-library",
            type=click.Path(path_type=Path, dir_okay=False),
            help="PKCS#11 library of the HSM that holds the key. Its PIN is the password.",
        ),
        "pkcs11_token": click.option("--pkcs11-token", metavar="LABEL", help="Label of the token in the HSM."),
        "pkcs11_key": click.option("--pkcs11-key", metavar="LABEL", help="Label of the key in the token."),
    },
)
"""Adds the options for a key in an HSM; the command gets a `KeyPlace` or None as `hsm`."""


def description(role: str, path: Path | None) -> CertificateDescription:
    """Return the description of a file, or the default; a device's may be that of a product profile.

    Raises UsageError.
    """
    if path is None:
        return default_description("root" if role == "root" else "signer" if role == "signer" else "device")
    text = read_text(path)
    if role == "device" and is_profile(text):
        return profile_from_toml(text, path).certificate
    try:
        found = CertificateDescription.from_toml(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error.what}", advice=error.advice, code=error.code) from error
    if found.role != role:
        raise UsageError(f"{path} describes a {found.role}, not a {role}.")
    return found


def parse_signer_id(text: str | None) -> bytes | None:
    """Return the 2 bytes of a signer id; raises UsageError."""
    if text is None:
        return None
    if len(text) != 4 or not all(character in "0123456789abcdefABCDEF" for character in text):
        raise UsageError(f"'{text}' is not a signer id.", advice="Give four hexadecimal digits, for example 0034.")
    return bytes.fromhex(text)


def chain_option(help_text: str) -> Option:
    """Return a decorator with --chain, which may be given several times."""
    return click.option("--chain", "chain_paths", type=FILE, multiple=True, help=help_text)


def chain_above(signer: PublicSigner, paths: Sequence[Path]) -> tuple[bytes, ...]:
    """Return the CA certificates (DER) of files, from the signer's issuer to the root; empty if no file is named.

    Raises UsageError, CertificateError when they are not the signer's whole chain.
    """
    if not paths:
        return ()
    given = [der for path in paths for der in certificate_files.read_certificates(path)]
    return ExternalChain.of([signer.certificate, signer.root_certificate, *given], now()).authorities


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def descriptions(signer: Path | None, device: Path | None) -> SignerDescriptions:
    """Return the descriptions of two files, or the defaults; raises UsageError."""
    return SignerDescriptions(description("signer", signer), description("device", device))


@dataclass(frozen=True)
class SignerOptions:
    """The options of a new signer; `signer_id` (2 bytes) is None for the lowest free id."""

    signer_id: bytes | None
    descriptions: SignerDescriptions

    @classmethod
    def of(cls, signer_id: str | None, signer_description: Path | None, device_description: Path | None) -> Self:
        """Read them; raises UsageError."""
        return cls(parse_signer_id(signer_id), descriptions(signer_description, device_description))


signer_options = option_group(
    "signer_options",
    SignerOptions.of,
    {
        "signer_id": click.option(
            "--signer-id", metavar="HHHH", help="Four hexadecimal digits; without it the lowest free id."
        ),
        "signer_description": click.option(
            "--signer-description", type=FILE, help="TOML description of the signer's certificate."
        ),
        "device_description": click.option(
            "--device-description",
            type=FILE,
            help="TOML description of its devices' certificates, or the profile of the product.",
        ),
    },
)
"""Adds the options for a new signer's id and certificates; the command gets `SignerOptions`."""
