"""Read certificates from files of any usual container: PEM with one or many, DER, PKCS#7."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from atcaprov.bounded_reading import read_bytes
from atcaprov.errors import Code, UsageError

UNREADABLE: Final = (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm)
"""What `cryptography` raises for a certificate that is none."""


def read_certificate(path: Path) -> bytes:
    """Return the DER of a certificate file (PEM or DER); raises UsageError (file-unreadable, file-invalid)."""
    data = read_bytes(path)
    try:
        load = x509.load_pem_x509_certificate if data.lstrip().startswith(b"-----") else x509.load_der_x509_certificate
        return load(data).public_bytes(Encoding.DER)
    except UNREADABLE as error:
        raise UsageError(f"{path} holds no certificate.", code=Code.FILE_INVALID) from error


def read_certificates(path: Path) -> list[bytes]:
    """Return the DER of all certificates of a file: PEM with one or many, DER, PKCS#7 as PEM or DER.

    Raises UsageError (file-unreadable, file-invalid).
    """
    data = read_bytes(path)
    if b"-----BEGIN CERTIFICATE" in data:
        loaders = [x509.load_pem_x509_certificates]
    elif data.lstrip().startswith(b"-----"):
        loaders = [pkcs7.load_pem_pkcs7_certificates]
    else:
        loaders = [_load_der, pkcs7.load_der_pkcs7_certificates]
    for load in loaders:
        try:
            found = load(data)
        except UNREADABLE:
            continue
        if found:
            return [certificate.public_bytes(Encoding.DER) for certificate in found]
    raise UsageError(f"{path} holds no certificate.", code=Code.FILE_INVALID)


def _load_der(data: bytes) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(data)]
