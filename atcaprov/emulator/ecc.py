"""P-256 on raw bytes, by pyca/cryptography. Loaded keys are cached by their bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of P-256 (SEC 2, secp256r1)."""
_CURVE: Final = ec.SECP256R1()
_ECDSA: Final = ec.ECDSA(Prehashed(hashes.SHA256()))
_ECDH: Final = ec.ECDH()
_LOADED_KEYS: Final = 256


def is_scalar(scalar: bytes) -> bool:
    """Return whether 32 big-endian bytes are a private key: 0 < scalar < order."""
    return 0 < int.from_bytes(scalar) < ORDER


@lru_cache(maxsize=_LOADED_KEYS)
def _private_key(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(scalar), _CURVE)


@lru_cache(maxsize=_LOADED_KEYS)
def _public_key(xy: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + xy)


def _raw_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def new_key_pair() -> tuple[bytes, bytes]:
    """Return a new private key (32 bytes) and its public key (X and Y, 64 bytes) from the system's random source."""
    numbers = ec.generate_private_key(_CURVE).private_numbers()
    public = numbers.public_numbers
    return numbers.private_value.to_bytes(32), public.x.to_bytes(32) + public.y.to_bytes(32)


def public_key(scalar: bytes) -> bytes:
    """Return X and Y (64 bytes) of a valid scalar."""
    return _raw_public(_private_key(scalar))


def compressed(xy: bytes) -> bytes:
    """Return 64 bytes X and Y as a compressed point, 33 bytes (SEC 1, section 2.3.3)."""
    return bytes((2 | xy[63] & 1,)) + xy[:32]


def uncompressed(point: bytes) -> bytes | None:
    """Return X and Y (64 bytes) of a compressed point, 33 bytes; None if it is not on the curve."""
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except ValueError:
        return None
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def on_curve(xy: bytes) -> bool:
    """Return whether 64 bytes X and Y are a point of the curve."""
    try:
        _public_key(xy)
    except ValueError:
        return False
    return True


def sign(scalar: bytes, digest: bytes) -> bytes:
    """Return R and S (64 bytes) over a 32-byte digest."""
    r, s = decode_dss_signature(_private_key(scalar).sign(digest, _ECDSA))
    return r.to_bytes(32) + s.to_bytes(32)


def verify(xy: bytes, digest: bytes, signature: bytes) -> bool:
    """Return whether R and S (64 bytes) are a signature over `digest` by the key X and Y, a point of the curve."""
    der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    try:
        _public_key(xy).verify(der, digest, _ECDSA)
    except InvalidSignature:
        return False
    return True


def shared_secret(scalar: bytes, xy: bytes) -> bytes:
    """Return the 32-byte X coordinate of the ECDH shared point; `xy` is a point of the curve."""
    return _private_key(scalar).exchange(_ECDH, _public_key(xy))
