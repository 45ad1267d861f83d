"""P-256 public keys and signatures in the chip's raw formats.

A public key is X||Y (64 bytes, big-endian, no 04 in front), a signature R||S (64 bytes). In a slot a public key has
four zero bytes in front of each half (72 bytes). Source: docs/reference/certificates.md.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from atcaprov.errors import CertificateError, Code

PUBLIC_KEY_SIZE: Final = 64
PADDED_KEY_SIZE: Final = 72
SIGNATURE_SIZE: Final = 64
DIGEST_SIZE: Final = 32
_HALF: Final = 32
_CURVE: Final = ec.SECP256R1()
_PREHASHED: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@functools.lru_cache(maxsize=512)
def load_public_key(xy: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of the point X||Y (64 bytes).

    Raises CertificateError (key-mismatch) when the length is wrong or the point is not on the curve. The last few are
    cached: an issuer uses each key of a batch more than once.
    """
    if len(xy) != PUBLIC_KEY_SIZE:
        raise CertificateError(f"A public key has 64 bytes, not {len(xy)}.", code=Code.KEY_MISMATCH)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + xy)
    except ValueError as error:
        raise CertificateError(
            "The 64 bytes are not a point on the curve P-256, so they are not a public key.",
            advice="Read the public key again from its source.",
            code=Code.KEY_MISMATCH,
        ) from error


def raw_public_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return X||Y (64 bytes) of a P-256 key; raises CertificateError for another curve."""
    if not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError(f"The key is on the curve {key.curve.name}; the chip uses P-256 only.")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


@functools.lru_cache(maxsize=512)
def key_id(xy: bytes) -> bytes:
    """Return the key identifier (20 bytes) of X||Y: SHA-1 of 04||X||Y (RFC 5280, 4.2.1.2, method 1)."""
    return hashlib.sha1(b"\x04" + xy, usedforsecurity=False).digest()


def raw_signature(der: bytes) -> bytes:
    """Return R||S (64 bytes) of an ECDSA signature in DER; raises CertificateError for anything else."""
    try:
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    except (ValueError, OverflowError) as error:
        raise CertificateError("The bytes are not a P-256 signature in DER.") from error


@functools.lru_cache(maxsize=512)
def der_signature(rs: bytes) -> bytes:
    """Return SEQUENCE { INTEGER r, INTEGER s } of R||S (64 bytes): minimal, unsigned, 8 to 72 bytes.

    The last few are cached: a signature is verified, put into a certificate, and rebuilt.
    """
    if len(rs) != SIGNATURE_SIZE:
        raise CertificateError(f"A signature has 64 bytes, not {len(rs)}.")
    return utils.encode_dss_signature(int.from_bytes(rs[:_HALF], "big"), int.from_bytes(rs[_HALF:], "big"))


def signature_of(bit_string: bytes) -> bytes:
    """Return R||S of a certificate's signature, from the tag of its BIT STRING to its end.

    Only the encoding that DER demands is accepted, so that no other bytes mean the same signature.
    """
    encoded = bit_string[3:]
    signature = raw_signature(encoded)
    if bit_string[:3] != bytes([0x03, len(encoded) + 1, 0]) or der_signature(signature) != encoded:
        raise CertificateError("The signature is not in DER.")
    return signature


def verify_digest(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Tell whether R||S is a signature of the 32-byte SHA-256 digest under X||Y."""
    return _verifies(load_issuer_key(public_key), digest, signature)


def verify_rare_digest(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Tell the same as `verify_digest` under a key that is seen once: it displaces no other from the cache."""
    return _verifies(load_public_key(public_key), digest, signature)


def _verifies(public_key: ec.EllipticCurvePublicKey, digest: bytes, signature: bytes) -> bool:
    try:
        public_key.verify(der_signature(signature), digest, _PREHASHED)
    except InvalidSignature:
        return False
    return True


@functools.lru_cache(maxsize=256)
def load_issuer_key(xy: bytes) -> ec.EllipticCurvePublicKey:
    """Return `load_public_key` from a cache: thousands of signatures are verified under the same few keys."""
    return load_public_key(xy)


def padded_public_key(xy: bytes) -> bytes:
    """Return the 72-byte slot form: four zero bytes, X, four zero bytes, Y."""
    if len(xy) != PUBLIC_KEY_SIZE:
        raise CertificateError(f"A public key has 64 bytes, not {len(xy)}.", code=Code.KEY_MISMATCH)
    return bytes(4) + xy[:_HALF] + bytes(4) + xy[_HALF:]


def unpadded_public_key(padded: bytes) -> bytes:
    """Return X||Y of the 72-byte slot form; raises CertificateError when the padding is not zero."""
    if len(padded) != PADDED_KEY_SIZE:
        raise CertificateError(f"A public key in a slot has 72 bytes, not {len(padded)}.", code=Code.KEY_MISMATCH)
    if any(padded[:4]) or any(padded[36:40]):
        raise CertificateError(
            "The slot does not hold a public key: bytes 0-3 and 36-39 are not zero.",
            advice="Write the signer's public key again.",
            code=Code.KEY_MISMATCH,
        )
    return padded[4:36] + padded[40:]
