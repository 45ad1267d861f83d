"""Keys that sign notes, as people exchange them: `name+key id+type and public key`.

Sources: https://c2sp.org/signed-note for types and key ids, golang.org/x/mod/sumdb/note for the text, and for ECDSA
github.com/transparency-dev/formats, to which C2SP refers. A cosignature (https://c2sp.org/tlog-cosignature) is an
Ed25519 signature with the time in front of it.
"""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from atcaprov.transparency.line_fields import decode_base64, encode_base64, malformed
from atcaprov.transparency.merkle import MAX_SIZE

KEY_ID_SIZE: Final = 4
_ED25519_KEY_SIZE: Final = 32
_TIMESTAMP_SIZE: Final = 8
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}\Z", re.ASCII)


class SignatureType(enum.IntEnum):
    """The byte in front of a public key."""

    ED25519 = 0x01
    ECDSA = 0x02
    """P-256 with SHA-256; the signature is in DER, the public key in DER as SubjectPublicKeyInfo."""
    COSIGNATURE = 0x04
    """A witness' Ed25519 signature, with its time in front: 8 bytes, seconds since 1970."""


_KNOWN_TYPES: Final = frozenset(bytes([one]) for one in SignatureType)


@dataclass(frozen=True)
class VerifierKey:
    """A key that signs notes. `public_key` has 32 bytes, for ECDSA 91 (DER)."""

    name: str
    type: SignatureType
    public_key: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise malformed("The name of a verifier key is empty or holds a space, a plus or a control character.")
        _ = self._loaded

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; raises UsageError (LOG_INVALID)."""
        name, _, rest = text.partition("+")
        key_id, _, key64 = rest.partition("+")
        key = cls.from_parts(name, decode_base64(key64, "The last part of a verifier key"))
        if not _KEY_ID.match(key_id) or key.key_id.hex() != key_id:
            raise malformed("The middle part of a verifier key does not fit the key. Copy the key again.")
        return key

    @classmethod
    def from_parts(cls, name: str, encoded: bytes) -> Self:
        """Make it of its name, and the type with the public key behind it; raises UsageError (LOG_INVALID)."""
        if encoded[:1] not in _KNOWN_TYPES:
            raise malformed("A verifier key is not for Ed25519, ECDSA or cosignatures.")
        return cls(name, SignatureType(encoded[0]), encoded[1:])

    @property
    def encoded(self) -> bytes:
        """Return the type (one byte) and the public key."""
        return bytes([self.type]) + self.public_key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(self.encoded)}"

    @cached_property
    def key_id(self) -> bytes:
        """Return the 4 bytes that name the key in a signature line."""
        if self.type is SignatureType.ECDSA:
            return hashlib.sha256(self.public_key).digest()[:KEY_ID_SIZE]
        hashed = self.name.encode() + b"\n" + self.encoded
        return hashlib.sha256(hashed).digest()[:KEY_ID_SIZE]

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Tell whether the signature, without the key id, is one of the text of a note."""
        try:
            if isinstance(self._loaded, ec.EllipticCurvePublicKey):
                self._loaded.verify(signature, text, ec.ECDSA(SHA256()))
            elif self.type is SignatureType.ED25519:
                self._loaded.verify(signature, text)
            else:
                time = timestamp_of(signature)
                self._loaded.verify(signature[_TIMESTAMP_SIZE:], cosigned_message(text, time))
        except (InvalidSignature, ValueError):
            return False
        return True

    @cached_property
    def _loaded(self) -> Ed25519PublicKey | ec.EllipticCurvePublicKey:
        if self.type is SignatureType.ECDSA:
            return _load_p256(self.public_key)
        if len(self.public_key) != _ED25519_KEY_SIZE:
            raise malformed(f"An Ed25519 key has {_ED25519_KEY_SIZE} bytes, not {len(self.public_key)}.")
        return Ed25519PublicKey.from_public_bytes(self.public_key)


class NoteSigner(Protocol):
    """A private key that signs notes."""

    @property
    def key(self) -> VerifierKey:
        """Return its public side."""

    def sign(self, text: bytes) -> bytes:
        """Return the signature of the text of a note, without the key id."""


class Ed25519Signer:
    """An Ed25519 key of a log, in memory."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.key: Final = VerifierKey(name, SignatureType.ED25519, private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return 64 bytes."""
        return self._private.sign(text)


class Cosigner:
    """An Ed25519 key of a witness, in memory; `time` is the time of its signatures, in seconds since 1970."""

    def __init__(self, name: str, private: Ed25519PrivateKey, time: int) -> None:
        self._private = private
        self._time = time
        self.key: Final = VerifierKey(name, SignatureType.COSIGNATURE, private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return the time (8 bytes) and the signature (64)."""
        return self._time.to_bytes(_TIMESTAMP_SIZE, "big") + self._private.sign(cosigned_message(text, self._time))


def cosigned_message(text: bytes, time: int) -> bytes:
    """Return what a witness signs for the text of a checkpoint."""
    return b"cosignature/v1\ntime %d\n" % time + text


def timestamp_of(cosignature: bytes) -> int:
    """Return the time of a cosignature, in seconds since 1970; raises ValueError if it has none."""
    time = int.from_bytes(cosignature[:_TIMESTAMP_SIZE], "big")
    if len(cosignature) <= _TIMESTAMP_SIZE or time > MAX_SIZE:
        raise ValueError("not a cosignature")
    return time


def is_key_name(name: str) -> bool:
    """Tell whether a name can stand in a note: not empty, without spaces, pluses and control characters."""
    return bool(name) and not any(char.isspace() or char == "+" or ord(char) < ord(" ") for char in name)


def p256_verifier_key(name: str, public_key: ec.EllipticCurvePublicKey) -> VerifierKey:
    """Return the verifier key of a P-256 key."""
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerifierKey(name, SignatureType.ECDSA, der)


def _load_p256(der: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise malformed("The public key in a verifier key is damaged.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise malformed("The public key in a verifier key is not on the curve P-256.")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != der:
        raise malformed("The public key in a verifier key is not in DER.")
    return key
