"""A signer on files, as a server or an export uses it.

`key.pem`, `signer.pem`, `root.pem`, `signer.json` (definitions and compressed certificate) and
`atcaprov_cert_info_N.c`; docs/reference/signer-folder_files.md describes them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from atcaprov.bounded_reading import MalformedError, is_file, parse_json, read_bytes, read_text, status
from atcaprov.certs import certificate_files
from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_issuer, verify_under_root
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.definitions.definition import CertificateDefinition, SerialSource
from atcaprov.certs.field_comparison import explain_differences, listed
from atcaprov.certs.keys import key_id
from atcaprov.certs.rebuild import rebuild
from atcaprov.certs.x509_layout import authority_layout, certificate_layout
from atcaprov.chip.memory_map import SERIAL_SIZE
from atcaprov.errors import AtcaProvError, CertificateError, Code, UsageError
from signer_module.on_files import folder_files
from signer_module.on_files.key_file import SoftwareKey, key_is_encrypted
from signer_module.on_files.pkcs11_file import PLACE_FILE
from signer_module.on_files.root_folder import common_name, unlock_key

KEY_FILE: Final = "key.pem"
CERTIFICATE_FILE: Final = "signer.pem"
ROOT_FILE: Final = "root.pem"
DOCUMENT_FILE: Final = "signer.json"
CHAIN_FILE: Final = "chain.pem"
"""CA certificates from the issuer up to the root, where an external CA made the signer certificate."""
_FORMAT: Final = "atcaprov-signer"
_VERSION: Final = 1
_NAME: Final = re.compile(r"(?P<name>.*[^ ]) (?P<id>[0-9A-F]{4})")


@dataclass(frozen=True)
class SignerFolder:
    """A checked signer; its private key stays closed until `unlock`."""

    path: Path
    name: str
    """Common name of the certificate without the signer id and the blank before it."""
    signer_id: bytes
    """2 bytes."""
    certificate: bytes
    """DER."""
    compressed: bytes
    """The certificate's compressed form, 72 bytes."""
    public_key: bytes
    """X||Y, 64 bytes."""
    root_certificate: bytes
    """DER."""
    root_public_key: bytes
    """X||Y, 64 bytes."""
    signer_definition: CertificateDefinition
    device_definition: CertificateDefinition
    key_is_encrypted: bool

    @property
    def serial(self) -> bytes:
        """What log lines show as the signer's serial number: the first 9 bytes of its key id."""
        return key_id(self.public_key)[:SERIAL_SIZE]

    def cert_info(self, index: int = 0) -> CertInfo:
        """Return what a client needs to know of this signer."""
        return cert_info(self.certificate, self.root_certificate, self.signer_definition, self.device_definition, index)

    @property
    def key_in_hsm(self) -> bool:
        """Whether `pkcs11.toml` stands in place of the key."""
        return is_in_hsm(self.path)

    @property
    def chain_paths(self) -> tuple[Path, ...]:
        """The file with the CAs above, if there is one; raises UsageError (file-unreadable)."""
        return (self.path / CHAIN_FILE,) if is_file(self.path / CHAIN_FILE) else ()

    def unlock(self, password: bytes | None) -> SoftwareKey:
        """Return the private key; raises UsageError (password-wrong, key-file-invalid) or key-mismatch."""
        return unlock_key(self.path / KEY_FILE, password, self.public_key)

    @classmethod
    def load(cls, path: Path, *, key_elsewhere: bool = False) -> Self:
        """Read and check a folder; one whose key is in an HSM has no key.pem, as with `key_elsewhere`.

        Raises UsageError (file-unreadable, file-invalid, key-file-invalid) for its files, CertificateError when
        certificates, definitions and compressed form do not belong together.
        """
        certificate = certificate_files.read_certificate(path / CERTIFICATE_FILE)
        root_certificate = certificate_files.read_certificate(path / ROOT_FILE)
        key_path = path / KEY_FILE
        key_elsewhere = key_elsewhere or is_in_hsm(path)
        encrypted = key_elsewhere or key_is_encrypted(read_bytes(key_path), str(key_path))
        compressed, signer_definition, device_definition = _read_document(path / DOCUMENT_FILE)
        name, signer_id = split_name(common_name(certificate))
        found = cls(
            path=path,
            name=name,
            signer_id=signer_id,
            certificate=certificate,
            compressed=compressed,
            public_key=certificate_layout(certificate).public_key.of(certificate),
            root_certificate=root_certificate,
            root_public_key=verify_issuer(root_certificate),
            signer_definition=signer_definition,
            device_definition=device_definition,
            key_is_encrypted=encrypted,
        )
        _check(found)
        return found


def is_in_hsm(path: Path) -> bool:
    """Tell whether a signer folder says that its key is in an HSM; raises nothing: loading it reports what is wrong."""
    try:
        return is_file(path / PLACE_FILE) and status(path / KEY_FILE) is None
    except UsageError:
        return False


def split_name(name: str) -> tuple[str, bytes]:
    """Return the name without the signer id, and the id (2 bytes), of a signer's common name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise CertificateError(f"The common name '{name}' does not end in a space and four hexadecimal digits.")
    return match["name"], bytes.fromhex(match["id"])


def cert_info(
    certificate: bytes,
    root_certificate: bytes,
    signer: CertificateDefinition,
    device: CertificateDefinition,
    index: int,
) -> CertInfo:
    """Return the contents of a signer's cert info file; certificates as DER."""
    name, signer_id = split_name(common_name(certificate))
    return CertInfo(
        signer_name=name,
        signer_id=signer_id,
        signer_public_key=certificate_layout(certificate).public_key.of(certificate),
        root_public_key=authority_layout(root_certificate).public_key.of(root_certificate),
        signer_template_id=signer.template_id,
        signer_chain_id=signer.chain_id,
        device_template_id=device.template_id,
        device_chain_id=device.chain_id,
        index=index,
    )


def public_contents(
    certificate: bytes,
    compressed: bytes,
    root_certificate: bytes,
    definitions: tuple[CertificateDefinition, CertificateDefinition],
    index: int,
) -> dict[str, tuple[bytes, int]]:
    """Return the files of a folder but for the key, name -> (bytes, mode); certificates as DER."""
    info = cert_info(certificate, root_certificate, *definitions, index)
    contents = {
        CERTIFICATE_FILE: folder_files.pem_certificate(certificate),
        ROOT_FILE: folder_files.pem_certificate(root_certificate),
        DOCUMENT_FILE: document(compressed, *definitions).encode(),
        info.file_name: info.to_c().encode(),
    }
    return {name: (data, folder_files.PUBLIC) for name, data in contents.items()}


def _check(signer: SignerFolder) -> None:
    verify_under_root(signer.certificate, signer.root_certificate)
    parsed = CompressedCertificate.parse(signer.compressed)
    if parsed.signer_id != signer.signer_id:
        raise CertificateError("The compressed certificate has another signer id than the certificate.")
    rebuilt = rebuild(
        signer.signer_definition,
        compressed=signer.compressed,
        public_key=signer.public_key,
        ca_public_key=signer.root_public_key,
    )
    differences = explain_differences(signer.signer_definition, rebuilt, signer.certificate)
    if differences:
        raise CertificateError(
            f"{signer.path / CERTIFICATE_FILE} is not the certificate that {DOCUMENT_FILE} describes; "
            f"{listed(differences)}.",
            code=Code.CERTIFICATE_MISMATCH,
        )
    if signer.signer_definition.sn_source is not SerialSource.STORED:  # an external CA chose it
        signer.signer_definition.require_issuable()
    signer.device_definition.require_issuable()


def document(compressed: bytes, signer: CertificateDefinition, device: CertificateDefinition) -> str:
    """Return the text of signer.json."""
    contents: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "compressed_certificate": compressed.hex(),
        "signer_definition": json.loads(signer.to_json()),
        "device_definition": json.loads(device.to_json()),
    }
    return json.dumps(contents, indent=2) + "\n"


def _read_document(path: Path) -> tuple[bytes, CertificateDefinition, CertificateDefinition]:
    text = read_text(path)
    try:
        contents = parse_json(text)
        if not isinstance(contents, dict) or contents.get("format") != _FORMAT:
            raise ValueError(f"it is not of format {_FORMAT}")
        if contents.get("version") != _VERSION:
            raise ValueError(f"it has version {contents.get('version')}, this program reads {_VERSION}")
        compressed = bytes.fromhex(contents["compressed_certificate"])
        parts = [CertificateDefinition.from_json(json.dumps(contents[key])) for key in _DEFINITIONS]
    except KeyError as error:
        raise _bad_document(path, f"{error.args[0]} is missing") from error
    except (MalformedError, ValueError, TypeError) as error:
        raise _bad_document(path, str(error)) from error
    except AtcaProvError as error:
        raise _bad_document(path, error.what.rstrip(".")) from error
    if [part.role for part in parts] != ["signer", "device"]:
        raise _bad_document(path, "its definitions are not those of a signer and a device")
    return compressed, parts[0], parts[1]


_DEFINITIONS: Final = ("signer_definition", "device_definition")


def _bad_document(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is damaged: {why}.", advice="Restore it from a copy.", code=Code.FILE_INVALID)
