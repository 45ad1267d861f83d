"""The request that an external CA gets."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509

from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.keys import key_id
from atcaprov.certs.unsigned import sign_request

Sign = Callable[[bytes], bytes]
"""Signs a digest (32 bytes) and gives R||S (64 bytes)."""


def signed_request(description: CertificateDescription, signer_id: bytes, public_key: bytes, sign: Sign) -> bytes:
    """Return a request (PKCS#10, DER) for a key X||Y (64 bytes), with what a description says."""
    builder = x509.CertificateSigningRequestBuilder(description.subject_name(signer_id=signer_id.hex().upper()))
    builder = description.extensions.request(builder, key_id=key_id(public_key))
    return sign_request(builder, public_key=public_key, sign=sign)
