"""Sign certificates and requests with keys that never leave a chip.

`cryptography` builds and signs with a private key in memory only. So a known key is used to build, its public key is
then replaced by the chip's, of the same length, and the chip makes the signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.certs.der import BIT_STRING, SEQUENCE, write_tlv
from atcaprov.certs.keys import der_signature, load_public_key, raw_public_key, verify_digest
from atcaprov.certs.x509_layout import ECDSA_WITH_SHA256
from atcaprov.errors import CertificateError, Code

Sign = Callable[[bytes], bytes]
"""Takes a SHA-256 digest (32 bytes) and gives R||S (64 bytes)."""
_PLACEHOLDER: Final = ec.derive_private_key(1, ec.SECP256R1())


def sign_certificate(builder: x509.CertificateBuilder, *, public_key: bytes, sign: Sign) -> bytes:
    """Return a self-signed certificate (DER) for X||Y (64 bytes); the builder has all but the key.

    Raises CertificateError (key-mismatch) when the signature does not verify, or what `sign` raises.
    """
    subject = load_public_key(public_key)
    unsigned = builder.public_key(subject).sign(_PLACEHOLDER, hashes.SHA256()).tbs_certificate_bytes
    return _signed(unsigned, public_key, sign)


def sign_request(builder: x509.CertificateSigningRequestBuilder, *, public_key: bytes, sign: Sign) -> bytes:
    """Return a PKCS#10 request (RFC 2986, DER) for X||Y (64 bytes).

    Raises CertificateError (key-mismatch) when the signature does not verify, or what `sign` raises.
    """
    load_public_key(public_key)
    unsigned = builder.sign(_PLACEHOLDER, hashes.SHA256()).tbs_certrequest_bytes
    placeholder = raw_public_key(_PLACEHOLDER.public_key())
    assert unsigned.count(placeholder) == 1
    return _signed(unsigned.replace(placeholder, public_key), public_key, sign)


def _signed(content: bytes, public_key: bytes, sign: Sign) -> bytes:
    digest = hashlib.sha256(content).digest()
    signature = sign(digest)
    if not verify_digest(public_key, digest, signature):
        raise CertificateError(
            "The signature does not verify under the public key that is to be certified.", code=Code.KEY_MISMATCH
        )
    encoded = der_signature(signature)
    return write_tlv(SEQUENCE, content, ECDSA_WITH_SHA256, write_tlv(BIT_STRING, b"\0", encoded))
