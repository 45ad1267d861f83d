"""Private keys in files: what OpenSSL, Java and others write is read, encrypted PKCS#8 is written."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atcaprov.certs import keys
from atcaprov.certs.key_files.private_key import key_is_encrypted, read_private_key
from signer_module.on_files.encrypted_pkcs8 import encrypt_pkcs8

__all__ = ["SoftwareKey", "key_is_encrypted", "load_key"]

_PREHASHED: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


class SoftwareKey:
    """A P-256 private key in memory. It is never printed and leaves only through `encode`."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self.public_key = keys.raw_public_key(private.public_key())
        """X||Y, 64 bytes."""

    def __repr__(self) -> str:
        return f"SoftwareKey(key id {keys.key_id(self.public_key).hex()})"

    @classmethod
    def generate(cls) -> SoftwareKey:
        """Return a new random key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def cryptography_key(self) -> ec.EllipticCurvePrivateKey:
        """The key as the `cryptography` package has it, for its certificate builder."""
        return self._private

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes)."""
        return keys.raw_signature(self._private.sign(digest, _PREHASHED))

    def encode(self, password: bytes | None) -> bytes:
        """Return PKCS#8 in PEM, encrypted unless `password` is None."""
        if password is None:
            return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return encrypt_pkcs8(self._private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), password)


def load_key(data: bytes, password: bytes | None, source: str) -> SoftwareKey:
    """Return the key of a file's bytes; see `read_private_key`."""
    return SoftwareKey(read_private_key(data, password, source))
