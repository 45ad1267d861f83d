"""Read public keys on P-256 from files: SubjectPublicKeyInfo, certificates, certificate requests, JWK, OpenSSH.

A file with a private key is refused: a command that wants a public key has no business with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key, load_ssh_public_key

from atcaprov.certs.key_files.jwk import read_public_jwk
from atcaprov.certs.key_files.refusals import KeyFileError
from atcaprov.certs.key_files.text import content_of, is_der, is_json, pem_blocks
from atcaprov.certs.keys import raw_public_key

_Loader = Callable[[bytes], object]


def _of_certificate(data: bytes) -> object:
    return x509.load_der_x509_certificate(data).public_key()


def _of_pem_certificate(data: bytes) -> object:
    return x509.load_pem_x509_certificate(data).public_key()


def _of_request(data: bytes) -> object:
    return _signed(x509.load_der_x509_csr(data)).public_key()


def _of_pem_request(data: bytes) -> object:
    return _signed(x509.load_pem_x509_csr(data)).public_key()


def _signed(request: x509.CertificateSigningRequest) -> x509.CertificateSigningRequest:
    if not request.is_signature_valid:
        raise KeyFileError("is a certificate request whose signature is wrong: its key is not proved")
    return request


_LABELS: Final[dict[bytes, _Loader]] = {
    b"PUBLIC KEY": load_pem_public_key,
    b"CERTIFICATE": _of_pem_certificate,
    b"CERTIFICATE REQUEST": _of_pem_request,
    b"NEW CERTIFICATE REQUEST": _of_pem_request,
}
_DER_LOADERS: Final[tuple[_Loader, ...]] = (load_der_public_key, _of_certificate, _of_request)
_SSH: Final = b"ecdsa-sha2-nistp256 "
_PRIVATE: Final = b"PRIVATE KEY"


def read_public_key(data: bytes, source: str) -> bytes:
    """Return X||Y (64 bytes) of the one public key that a file's bytes hold; `source` names the file in messages.

    Raises:
        UsageError: key-file-invalid says what the file is instead.
    """
    try:
        return _p256(_public_key(content_of(data)))
    except KeyFileError as error:
        raise error.told(source) from None


def _public_key(content: bytes) -> object:
    if is_json(content):
        return read_public_jwk(content)
    blocks = pem_blocks(content)
    if blocks:
        return _of_blocks(blocks)
    if content.startswith(_SSH):
        return _tried((load_ssh_public_key,), content)
    if is_der(content):
        return _tried(_DER_LOADERS, content)
    raise KeyFileError("holds no public key")


def _of_blocks(blocks: list[tuple[bytes, bytes]]) -> object:
    if any(label.endswith(_PRIVATE) for label, _ in blocks):
        raise KeyFileError("holds a private key; give the public key or a certificate")
    found = [(_LABELS[label], block) for label, block in blocks if label in _LABELS]
    if len(found) != 1:
        what = f"holds {len(found)} public keys" if found else f"holds '{blocks[0][0].decode()}', not a public key"
        raise KeyFileError(f"{what}; it must hold one" if found else what)
    load, block = found[0]
    return _tried((load,), block)


def _tried(loaders: tuple[_Loader, ...], data: bytes) -> object:
    for load in loaders:
        try:
            return load(data)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
    raise KeyFileError("is damaged, or its key is not one that the chip knows")


def _p256(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        kind = type(key).__name__.removesuffix("PublicKey")
        raise KeyFileError(f"holds a key of the kind {kind}; the chip knows elliptic curve keys on P-256 only")
    if not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(f"holds a key on the curve {key.curve.name}; the chip knows P-256 (prime256v1) only")
    return raw_public_key(key)
