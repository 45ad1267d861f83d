"""Create a signer on files: its key, the certificate that the root signs, and what clients need to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.issue import IssuedCertificate, issue
from atcaprov.errors import UsageError
from signer_module.on_files import folder_files, signer_folder
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import RootFolder, RootKey, common_name
from signer_module.on_files.signer_folder import SignerFolder
from signer_module.on_files.signer_register import free_id, id_of
from signer_module.signer_description import SignerDescriptions


@dataclass(frozen=True)
class KeyInHsm:
    """A new signer's key that is in no file, its public key X||Y (64 bytes), and the file that says where it is."""

    public_key: bytes
    file_name: str
    content: bytes


def create_signer(
    path: Path,
    *,
    root: RootFolder,
    root_key: RootKey,
    descriptions: SignerDescriptions,
    key: SoftwareKey | KeyInHsm,
    password: bytes | None,
    signer_id: bytes | None,
    now: datetime,
    index: int = 0,
) -> SignerFolder:
    """Make a signer in a new folder; without `signer_id` it gets the lowest free one.

    The id is entered in the root's register before the certificate is made. Raises UsageError when the id was given
    before or the folder exists; then nothing has changed.
    """
    definitions = definitions_of(root, descriptions, now)
    with folder_files.new_folder(path) as folder, root.register.locked():
        issued_ids = root.register.issued()
        own = id_of(issued_ids, key.public_key) if isinstance(key, KeyInHsm) else None
        chosen = own or signer_id or free_id(issued_ids)
        _require_free(issued_ids, signer_id, own)
        issued = _issue(definitions[0], root, root_key, key, chosen, now)
        contents = _contents(root, definitions, issued, key, password, index)
        folder_files.write_all(folder, contents, named=path)
        if own is None:
            root.register.enter(chosen, key.public_key, signer_folder.split_name(common_name(issued.der))[0], now)
    return SignerFolder.load(path)


def _require_free(issued: dict[str, str], signer_id: bytes | None, own: bytes | None) -> None:
    if own is not None and signer_id not in (None, own):
        raise UsageError(
            f"The signer was begun with the id {own.hex().upper()}, which cannot be changed.",
            advice="Leave out --signer-id, or give this one.",
        )
    if own is None and signer_id is not None and signer_id.hex().upper() in issued:
        raise UsageError(
            f"The signer id {signer_id.hex().upper()} is already in use.",
            advice="Choose another; an interrupted run may have used it.",
        )


def check_signer(
    root: RootFolder,
    descriptions: SignerDescriptions,
    key: KeyInHsm | None,
    signer_id: bytes | None,
    now: datetime,
) -> None:
    """Raise UsageError or CertificateError for what is wrong with a signer before it has a key, or a certificate."""
    definitions_of(root, descriptions, now)
    with root.register.locked():
        root.register.require_writable()
    issued = root.register.issued()
    own = id_of(issued, key.public_key) if key else None
    _require_free(issued, signer_id, own)
    if own is None and signer_id is None:
        free_id(issued)


def definitions_of(
    root: RootFolder, descriptions: SignerDescriptions, now: datetime
) -> tuple[CertificateDefinition, CertificateDefinition]:
    """Return those of a new signer and of its devices.

    Raises CertificateError (chain-invalid) or UsageError (definition-invalid) when none can be made under the root now.
    """
    root.require_issuing(descriptions.device, now)
    signer = signer_definition(descriptions.signer, root_name=root.subject, at=now)
    return signer, device_definition(descriptions.device, signer=descriptions.signer, at=now)


def _issue(
    definition: CertificateDefinition,
    root: RootFolder,
    root_key: RootKey,
    key: SoftwareKey | KeyInHsm,
    signer_id: bytes,
    now: datetime,
) -> IssuedCertificate:
    return issue(
        definition,
        subject_public_key=key.public_key,
        ca_public_key=root.public_key,
        signer_id=signer_id,
        issue_date=definition.issue_date(now),
        sign=root_key.sign,
    )


def _contents(
    root: RootFolder,
    definitions: tuple[CertificateDefinition, CertificateDefinition],
    issued: IssuedCertificate,
    key: SoftwareKey | KeyInHsm,
    password: bytes | None,
    index: int,
) -> dict[str, tuple[bytes, int]]:
    if isinstance(key, KeyInHsm):
        key_file = {key.file_name: (key.content, folder_files.PUBLIC)}
    else:
        key_file = {signer_folder.KEY_FILE: (key.encode(password), folder_files.PRIVATE)}
    return {
        **key_file,
        **signer_folder.public_contents(issued.der, issued.compressed, root.certificate, definitions, index),
    }
