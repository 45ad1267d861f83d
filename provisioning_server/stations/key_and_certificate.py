"""A private key and its certificate in one PEM file that only its owner may read: both change at once, or neither."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atcaprov import durable_files
from atcaprov.bounded_reading import read_bytes
from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.key_files.private_key import read_private_key
from atcaprov.errors import Code, UsageError

_OWNER_ONLY: Final = 0o600
_FOLDER: Final = 0o700


@dataclass(frozen=True, slots=True)
class KeyAndCertificate:
    """A P-256 key and the certificate for it."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @classmethod
    def read(cls, path: Path, *, advice: str) -> Self:
        """Read a file that `write` made.

        Raises:
            UsageError: FILE_UNREADABLE, or KEY_FILE_INVALID with the advice.
        """
        data = read_bytes(path)
        try:
            key = read_private_key(data, None, str(path))
            certificate = x509.load_pem_x509_certificates(data)[0]
        except (*UNREADABLE, UsageError) as error:
            raise UsageError(
                f"{path} does not hold a key and its certificate.", advice=advice, code=Code.KEY_FILE_INVALID
            ) from (error if not isinstance(error, ValueError) else None)
        if certificate.public_key() != key.public_key():
            raise UsageError(
                f"The key in {path} is not that of its certificate.", advice=advice, code=Code.KEY_FILE_INVALID
            )
        return cls(key, certificate)

    def write(self, path: Path) -> None:
        """Write the file durably, in place of one that may be there; raises UsageError FILE_UNWRITABLE."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            path.parent.mkdir(mode=_FOLDER, exist_ok=True)
            durable_files.sync_folder(path.parent.parent)
            durable_files.replace(path, pem + self.certificate.public_bytes(Encoding.PEM), _OWNER_ONLY)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}.",
                advice="Check the permissions of the folder, and make room on its disk.",
                code=Code.FILE_UNWRITABLE,
            ) from error
