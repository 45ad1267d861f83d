"""The key that a certificate of any version and any CA is for, if it is one that a chip can hold."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.keys import raw_public_key
from atcaprov.errors import CertificateError, Code


def certified_key(certificate: x509.Certificate) -> bytes:
    """Return X||Y (64 bytes); raises CertificateError (key-mismatch) that says what key it is instead."""
    try:
        key = certificate.public_key()
    except UNREADABLE as error:
        raise _wrong_key("something unreadable") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _wrong_key(type(key).__name__.removeprefix("_").removesuffix("PublicKey"))
    if not isinstance(key.curve, ec.SECP256R1):
        raise _wrong_key(f"a key on the curve {key.curve.name}")
    return raw_public_key(key)


def _wrong_key(found: str) -> CertificateError:
    return CertificateError(
        f"key algorithm: expected a key on P-256, found {found}.",
        advice="The chip's keys are on P-256: have its own key certified, with 'atcaprov request'.",
        code=Code.KEY_MISMATCH,
    )
