"""Formats of key files that no library reads or writes as they are needed: JWK, and PKCS#8 encrypted slowly.

JWK: RFC 7517; RFC 7518, section 6.2. `cryptography` writes encrypted PKCS#8 with 2,048 rounds of PBKDF2, too few for a
file that is stolen. The same standard structure (RFC 8018, PBES2: PBKDF2 with HMAC-SHA256, AES-256-CBC) is made here
with more rounds; OpenSSL and `cryptography` read it.
"""

from __future__ import annotations

import base64
import binascii
import os
import textwrap
from typing import Final

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from atcaprov.bounded_reading import MalformedError, parse_json
from atcaprov.certs.der import INTEGER, OCTET_STRING, SEQUENCE, write_tlv

_CURVE: Final = "P-256"
_SCALAR_SIZE: Final = 32
ROUNDS: Final = 600_000
_SALT_SIZE: Final = 16
_BLOCK_BITS: Final = 128
_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256: Final = bytes.fromhex("300c06082a864886f70d02090500")
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")


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


def encrypt_pkcs8(private_key_info: bytes, password: bytes, *, rounds: int = ROUNDS) -> bytes:
    """Return PEM ("ENCRYPTED PRIVATE KEY") of an unencrypted PKCS#8 structure in DER."""
    salt, vector = os.urandom(_SALT_SIZE), os.urandom(_SALT_SIZE)
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, rounds).derive(password)
    padder = padding.PKCS7(_BLOCK_BITS).padder()
    padded = padder.update(private_key_info) + padder.finalize()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    encrypted = encryptor.update(padded) + encryptor.finalize()
    round_bytes = rounds.to_bytes(rounds.bit_length() // 8 + 1, "big")
    derivation = write_tlv(SEQUENCE, write_tlv(OCTET_STRING, salt), write_tlv(INTEGER, round_bytes), _HMAC_SHA256)
    scheme = write_tlv(SEQUENCE, _AES_256_CBC, write_tlv(OCTET_STRING, vector))
    parameters = write_tlv(SEQUENCE, write_tlv(SEQUENCE, _PBKDF2, derivation), scheme)
    algorithm = write_tlv(SEQUENCE, _PBES2, parameters)
    return _pem(write_tlv(SEQUENCE, algorithm, write_tlv(OCTET_STRING, encrypted)))


def _pem(der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n".encode()
