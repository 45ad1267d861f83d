"""A private key as JSON Web Key (RFC 7517; RFC 7518, section 6.2)."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.reading import MalformedError, parse_json

_CURVE: Final = "P-256"
_SCALAR_SIZE: Final = 32


class JwkError(Exception):
    """Says what the file is or holds instead: the end of a sentence that begins with the file's name."""


def looks_like_jwk(data: bytes) -> bool:
    """Tell whether the bytes of a file are meant as JSON."""
    return data.lstrip().startswith(b"{")


def read_jwk(data: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the private key on P-256 of a JWK; raises JwkError."""
    try:
        document = parse_json(data)
    except MalformedError:
        raise JwkError("is damaged JSON") from None
    if not isinstance(document, dict) or "kty" not in document:
        raise JwkError("is JSON, but not a JSON Web Key (JWK): it has no member kty")
    if document["kty"] != "EC":
        raise JwkError(f"holds a key of the kind {document['kty']!s:.20}; the chip knows EC keys on P-256 only")
    if document.get("crv") != _CURVE:
        raise JwkError(f"holds a key on the curve {document.get('crv')!s:.20}; the chip knows P-256 (prime256v1) only")
    if "d" not in document:
        raise JwkError("holds a public key, not the private one")
    try:
        private = ec.derive_private_key(_number(document, "d"), ec.SECP256R1())
    except ValueError:
        raise JwkError("is damaged: its member d is not a private key of P-256") from None
    public = private.public_key().public_numbers()
    if (public.x, public.y) != (_number(document, "x"), _number(document, "y")):
        raise JwkError("is damaged: its private and public parts do not belong together")
    return private


def _number(document: dict[str, object], member: str) -> int:
    text = document.get(member)
    if not isinstance(text, str):
        raise JwkError(f"is damaged: its member {member} is missing or not text")
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise JwkError(f"is damaged: its member {member} is not in Base64url") from None
    if len(value) != _SCALAR_SIZE:
        raise JwkError(f"is damaged: its member {member} has {len(value)} bytes, not {_SCALAR_SIZE}")
    return int.from_bytes(value, "big")
