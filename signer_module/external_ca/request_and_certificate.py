"""The request that an external CA gets, and the certificate that it returns in the compressed form of a chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from cryptography import x509

from atcaprov.certs.compress import compress
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.keys import key_id
from atcaprov.certs.unsigned import sign_request
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import CertificateError
from signer_module.on_files.root_folder import common_name
from signer_module.on_files.signer_folder import split_name
from signer_module.signer_description import SignerDescriptions, SignerDocument

_SHORTEST_SERIAL: Final = 8
_LONGEST_SERIAL: Final = 20
Sign = Callable[[bytes], bytes]
"""Signs a digest (32 bytes) and gives R||S (64 bytes)."""


def external_document(
    descriptions: SignerDescriptions, certificate: bytes, issuer: bytes, issuer_key: bytes
) -> tuple[SignerDocument, bytes]:
    """Return the document of a certificate that an external CA made, and its compressed form (72 bytes).

    `certificate` and `issuer` are DER, `issuer_key` X||Y (64 bytes). A serial number that the CA chose is of 8 to 20
    bytes. Raises CertificateError (certificate-mismatch) that names the fields which are not as the descriptions say,
    UsageError when the name is not that of a signer.
    """
    split_name(common_name(certificate))
    parsed = x509.load_der_x509_certificate(certificate)
    year = parsed.not_valid_before_utc.year
    document = SignerDocument(issuer, descriptions.signer, descriptions.device, year)
    own = certificate_layout(certificate).serial_number.of(certificate)
    try:
        return document, compress(document.definitions()[0], certificate, ca_public_key=issuer_key)
    except CertificateError:
        if not _SHORTEST_SERIAL <= len(own) <= _LONGEST_SERIAL:
            raise
        document = replace(document, serial=own)
        return document, compress(document.definitions()[0], certificate, ca_public_key=issuer_key)


def signed_request(description: CertificateDescription, signer_id: bytes, public_key: bytes, sign: Sign) -> bytes:
    """Return a request (PKCS#10, DER) for a key X||Y (64 bytes), with what a description says."""
    builder = x509.CertificateSigningRequestBuilder(description.subject_name(signer_id=signer_id.hex().upper()))
    builder = description.extensions.request(builder, key_id=key_id(public_key))
    return sign_request(builder, public_key=public_key, sign=sign)
