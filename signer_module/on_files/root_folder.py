"""A root on files: `key.pem`, `root.pem`, and the register of the signer ids that it has given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.bounded_reading import is_file, read_bytes, read_text
from atcaprov.certs import certificate_files
from atcaprov.certs.chain import verify_root
from atcaprov.certs.dates import NO_EXPIRY, DateFormat, expire_date, issue_hour, require_possible_clock
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.keys import key_id
from atcaprov.certs.x509_layout import authority_layout
from atcaprov.errors import CertificateError, Code, UsageError
from signer_module.on_files import folder_files
from signer_module.on_files.key_file import SoftwareKey, key_is_encrypted, load_key
from signer_module.on_files.signer_register import EMPTY_REGISTER, REGISTER_FILE, SignerRegister
from signer_module.signer_description import require_usages

KEY_FILE: Final = "key.pem"
CERTIFICATE_FILE: Final = "root.pem"
MODULE_FILE: Final = "module.txt"
"""Stands in place of the key when that is on a root module: the serial number of its chip."""


class RootKey(Protocol):
    """What signs with a root's key: a key in memory, or a root module."""

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes)."""


@dataclass(frozen=True)
class RootFolder:
    """A root as it stands in its folder; the key stays closed until `unlock`, or is on a root module."""

    path: Path
    certificate: bytes
    """DER."""
    public_key: bytes
    """X||Y, 64 bytes."""
    key_is_encrypted: bool
    has_key: bool = True
    """False: the key is on a root module, the folder holds the certificate and the register."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a folder; raises UsageError for files, CertificateError for a bad certificate."""
        certificate = certificate_files.read_certificate(path / CERTIFICATE_FILE)
        key_path = path / KEY_FILE
        if is_file(path / MODULE_FILE):
            return cls(path, certificate, verify_root(certificate), False, has_key=False)
        encrypted = key_is_encrypted(read_bytes(key_path), str(key_path))
        return cls(path, certificate, verify_root(certificate), encrypted)

    @property
    def name(self) -> str:
        """The common name."""
        return common_name(self.certificate)

    @property
    def module_serial(self) -> str:
        """What `module.txt` says: the serial number of the root module, 18 hexadecimal digits."""
        return read_text(self.path / MODULE_FILE).strip()

    def require_valid(self, at: datetime) -> None:
        """Raise CertificateError (chain-invalid) unless the root is valid: the clock may be wrong."""
        parsed = x509.load_der_x509_certificate(self.certificate)
        begin, end = parsed.not_valid_before_utc, parsed.not_valid_after_utc
        if not begin <= at <= end:
            raise CertificateError(
                f"The clock says {at:%Y-%m-%d %H:%M} UTC, but the root is valid from {begin:%Y-%m-%d %H:%M}"
                f" to {end:%Y-%m-%d %H:%M}.",
                advice="Set the clock of this computer, or create another root.",
                code=Code.CHAIN_INVALID,
            )

    def require_issuing(self, device: CertificateDescription, at: datetime) -> None:
        """Raise CertificateError (chain-invalid) unless signers of such devices can be made under the root now."""
        self.require_valid(at)
        parsed = x509.load_der_x509_certificate(self.certificate)
        if parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0:
            raise CertificateError(
                "The root has path length 0: it allows no CA below it, but a signer is a CA.",
                advice="Create another root, with path_length = 1.",
                code=Code.CHAIN_INVALID,
            )
        require_usages(parsed, device)

    @property
    def subject(self) -> x509.Name:
        """The whole name, which becomes the issuer of signer certificates."""
        return x509.load_der_x509_certificate(self.certificate).subject

    def unlock(self, password: bytes | None) -> SoftwareKey:
        """Return the private key; raises UsageError (password-wrong, key-file-invalid) or key-mismatch."""
        return unlock_key(self.path / KEY_FILE, password, self.public_key)

    @property
    def register(self) -> SignerRegister:
        """The register of the signer ids that it has given."""
        return SignerRegister(self.path / REGISTER_FILE)


def create_root(path: Path, description: CertificateDescription, password: bytes | None, now: datetime) -> RootFolder:
    """Make a new root in a new folder; the key is encrypted unless `password` is None."""
    key = SoftwareKey.generate()
    certificate = self_signed(description, key, now)
    verify_root(certificate, key.public_key)
    with folder_files.new_folder(path) as folder:
        contents = {
            KEY_FILE: (key.encode(password), folder_files.PRIVATE),
            CERTIFICATE_FILE: (folder_files.pem_certificate(certificate), folder_files.PUBLIC),
            REGISTER_FILE: (EMPTY_REGISTER, folder_files.PUBLIC),
        }
        folder_files.write_all(folder, contents, named=path)
    return RootFolder.load(path)


def write_module_folder(path: Path, certificate: bytes, serial: bytes) -> RootFolder:
    """Make the folder of a root whose key is on a module with this chip serial number (9 bytes)."""
    with folder_files.new_folder(path) as folder:
        contents = {
            MODULE_FILE: (f"{serial.hex().upper()}\n".encode(), folder_files.PUBLIC),
            CERTIFICATE_FILE: (folder_files.pem_certificate(certificate), folder_files.PUBLIC),
            REGISTER_FILE: (EMPTY_REGISTER, folder_files.PUBLIC),
        }
        folder_files.write_all(folder, contents, named=path)
    return RootFolder.load(path)


def self_signed(description: CertificateDescription, key: SoftwareKey, now: datetime) -> bytes:
    """Return a root certificate (DER) that begins with the hour of `now`."""
    builder = root_builder(description, key.public_key, now).public_key(key.cryptography_key.public_key())
    return builder.sign(key.cryptography_key, hashes.SHA256()).public_bytes(Encoding.DER)


def root_builder(description: CertificateDescription, public_key: bytes, now: datetime) -> x509.CertificateBuilder:
    """Return a root certificate that begins with the hour of `now`, without its key X||Y (64 bytes) and unsigned.

    Raises UsageError (definition-invalid) when the description is not for a root or its validity is too long,
    CertificateError (clock-wrong) when the clock cannot be right: every certificate below begins later.
    """
    if description.role != "root":
        raise UsageError(
            f"The certificate description is for a {description.role}, not for a root.", code=Code.DEFINITION_INVALID
        )
    require_possible_clock(now, advice="Set the clock, then create the root again. Nothing was made.")
    begin = issue_hour(now, description.expire_years)
    end = NO_EXPIRY[DateFormat.RFC5280_GEN]
    if description.expire_years:
        if begin.year + description.expire_years > end.year:
            raise UsageError("The root's validity goes beyond the year 9999.", code=Code.DEFINITION_INVALID)
        end = expire_date(begin, description.expire_years, DateFormat.RFC5280_GEN)
    name = description.subject_name()
    identifier = key_id(public_key)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        serial_number=x509.random_serial_number(),
        not_valid_before=begin.astimezone(UTC),
        not_valid_after=end,
    )
    return description.extensions.add(builder, key_id=identifier, issuer_key_id=identifier)


def unlock_key(path: Path, password: bytes | None, public_key: bytes) -> SoftwareKey:
    """Return the key of a file that must belong to `public_key` (X||Y)."""
    key = load_key(read_bytes(path), password, str(path))
    if key.public_key != public_key:
        raise CertificateError(
            f"The key in {path} does not belong to the certificate beside it.",
            advice="Put the key and the certificate of the same signer into the folder.",
            code=Code.KEY_MISMATCH,
        )
    return key


def common_name(certificate: bytes) -> str:
    """Return the common name of a certificate's subject; raises CertificateError when there is none."""
    span = authority_layout(certificate).subject_common_name
    if span is None:
        raise CertificateError("The certificate has no common name.")
    return span.of(certificate).decode("utf-8", "replace")
