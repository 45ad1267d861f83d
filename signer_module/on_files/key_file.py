"""Private keys in files: what OpenSSL and others write is read, encrypted PKCS#8 is written.

Read: SEC1 and PKCS#8, PEM and DER, encrypted or not, with or without the `EC PARAMETERS` block that
`openssl ecparam -genkey` puts in front, and JWK. The key must be on P-256, the chip's curve.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atcaprov.certs import der, keys
from atcaprov.errors import CertificateError, Code, UsageError
from signer_module.on_files.key_formats import JwkError, encrypt_pkcs8, looks_like_jwk, read_jwk

MAX_FILE: Final = 65_536
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)
_KEY_LABELS: Final = frozenset({b"EC PRIVATE KEY", b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"RSA PRIVATE KEY"})
_OTHER_KINDS: Final = {
    b"CERTIFICATE": "is a certificate, not a private key",
    b"CERTIFICATE REQUEST": "is a certificate request, not a private key",
    b"PUBLIC KEY": "holds a public key, not the private one",
    b"OPENSSH PRIVATE KEY": "is in the format of OpenSSH; this converts it in place: ssh-keygen -p -m PKCS8 -f {file}",
    b"EC PARAMETERS": "holds the parameters of a curve and no key",
}
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


def key_is_encrypted(data: bytes, source: str) -> bool:
    """Tell whether a key file needs a password; raises UsageError (key-file-invalid) when it holds no key."""
    block = _key_block(data, source)
    if _is_der(block):
        return _is_encrypted_der(block, source)
    return block.startswith(b"-----BEGIN ENCRYPTED") or b"Proc-Type: 4,ENCRYPTED" in block


def load_key(data: bytes, password: bytes | None, source: str) -> SoftwareKey:
    """Return the key of a file's bytes; `source` names the file in messages.

    A password that is not needed is ignored. Raises UsageError: key-file-invalid says what the file is instead,
    password-wrong when the password is wrong or missing.
    """
    block = _key_block(data, source)
    encrypted = key_is_encrypted(data, source)
    if encrypted and not password:
        raise UsageError(f"The key in {source} is encrypted and needs its password.", code=Code.PASSWORD_WRONG)
    load = serialization.load_der_private_key if _is_der(block) else serialization.load_pem_private_key
    try:
        loaded = load(block, password if encrypted else None)
    except UnsupportedAlgorithm:
        raise _invalid(source, "holds a key or an encryption that is not supported; the key must be on P-256") from None
    except (ValueError, TypeError):
        if encrypted:
            raise _wrong_password(source) from None
        raise _invalid(source, "is damaged, or describes its curve in an unusual way") from None
    return _p256(loaded, source)


def _p256(loaded: object, source: str) -> SoftwareKey:
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        kind = type(loaded).__name__.removeprefix("_").removesuffix("PrivateKey")
        raise _invalid(source, f"holds a key of the kind {kind}; the chip knows elliptic curve keys on P-256 only")
    if not isinstance(loaded.curve, ec.SECP256R1):
        raise _invalid(source, f"holds a key on the curve {loaded.curve.name}; the chip knows P-256 (prime256v1) only")
    return SoftwareKey(loaded)


def _key_block(data: bytes, source: str) -> bytes:
    """Return the one PEM block that is a private key, or DER: `data` itself, or what a JWK holds."""
    if len(data) > MAX_FILE:
        raise _invalid(source, f"is longer than {MAX_FILE} bytes, too long for a key")
    if looks_like_jwk(data):
        return _jwk_block(data, source)
    blocks = [(match[1], match[0] + b"\n") for match in _BLOCK.finditer(data)]
    found = [block for label, block in blocks if label in _KEY_LABELS]
    if len(found) == 1:
        return found[0]
    if found:
        raise _invalid(source, f"holds {len(found)} private keys; it must hold one")
    if blocks:
        label = blocks[-1][0]
        other = _OTHER_KINDS.get(label, f"holds '{label.decode()}', not a private key on P-256")
        raise _invalid(source, other.format(file=shlex.quote(source)))
    if not _is_der(data):
        raise _invalid(source, "holds no private key")
    return data


def _is_der(block: bytes) -> bool:
    return block.startswith(b"\x30")


def _jwk_block(data: bytes, source: str) -> bytes:
    try:
        private = read_jwk(data)
    except JwkError as error:
        raise _invalid(source, str(error)) from None
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _is_encrypted_der(data: bytes, source: str) -> bool:
    try:
        whole = der.expect(der.read_tlv(data, 0, len(data)), der.SEQUENCE, "a key")
        first = der.read_tlv(data, whole.content, whole.end)
    except CertificateError:
        raise _invalid(source, "is damaged, or holds no private key") from None
    if first.tag == der.SEQUENCE:
        _refuse_certificate(data, source)
    return first.tag == der.SEQUENCE


def _refuse_certificate(data: bytes, source: str) -> None:
    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return
    raise _invalid(source, _OTHER_KINDS[b"CERTIFICATE"])


def _invalid(source: str, why: str) -> UsageError:
    return UsageError(f"The key file {source} {why}.", code=Code.KEY_FILE_INVALID)


def _wrong_password(source: str) -> UsageError:
    return UsageError(
        f"The password does not open the key in {source}.",
        advice="Give the right one; if it is right, the file is damaged.",
        code=Code.PASSWORD_WRONG,
    )
