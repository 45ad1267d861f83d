"""Keys as JSON Web Key (RFC 7517; RFC 7518, section 6.2), which the `cryptography` package does not read."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.bounded_reading import MalformedError, parse_json
from atcaprov.certs.key_files.refusals import KeyFileError

_CURVE: Final = "P-256"
_SCALAR_SIZE: Final = 32


def read_private_jwk(content: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the private key on P-256 of a JWK, or of a set with one JWK; raises KeyFileError."""
    document = _p256_document(content)
    if "d" not in document:
        raise KeyFileError("holds a public key, not the private one")
    try:
        private = ec.derive_private_key(_number(document, "d"), ec.SECP256R1())
    except ValueError:
        raise KeyFileError("is damaged: its member d is not a private key of P-256") from None
    public = private.public_key().public_numbers()
    if (public.x, public.y) != (_number(document, "x"), _number(document, "y")):
        raise KeyFileError("is damaged: its private and public parts do not belong together")
    return private


def read_public_jwk(content: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of a JWK on P-256, private or not; raises KeyFileError."""
    document = _p256_document(content)
    numbers = ec.EllipticCurvePublicNumbers(_number(document, "x"), _number(document, "y"), ec.SECP256R1())
    try:
        return numbers.public_key()
    except ValueError:
        raise KeyFileError("is damaged: its members x and y are not a point on P-256") from None


def _p256_document(content: bytes) -> dict[str, Any]:
    try:
        document = _only_key(parse_json(content))
    except MalformedError:
        raise KeyFileError("is damaged JSON") from None
    if not isinstance(document, dict) or "kty" not in document:
        raise KeyFileError("is JSON, but not a JSON Web Key (JWK): it has no member kty")
    if document["kty"] != "EC":
        raise KeyFileError(f"holds a key of the kind {document['kty']!s:.20}; the chip knows EC keys on P-256 only")
    if document.get("crv") != _CURVE:
        raise KeyFileError(
            f"holds a key on the curve {document.get('crv')!s:.20}; the chip knows P-256 (prime256v1) only"
        )
    return document


def _only_key(document: object) -> object:
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list) or not members:
        return document
    if len(members) > 1:
        raise KeyFileError(f"is a set of {len(members)} keys (JWKS); it must hold one")
    return members[0]


def _number(document: dict[str, Any], member: str) -> int:
    text = document.get(member)
    if not isinstance(text, str):
        raise KeyFileError(f"is damaged: its member {member} is missing or not text")
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError(f"is damaged: its member {member} is not in Base64url") from None
    if len(value) != _SCALAR_SIZE:
        raise KeyFileError(f"is damaged: its member {member} has {len(value)} bytes, not {_SCALAR_SIZE}")
    return int.from_bytes(value, "big")
