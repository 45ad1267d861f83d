"""Read private keys on P-256, the chip's curve, from files of any usual container.

Read are SEC1 and PKCS#8 in PEM and DER, encrypted or not, with any text or the `EC PARAMETERS` block of
`openssl ecparam -genkey` around it; PKCS#12 of OpenSSL, Java and browsers; JWK. Text may be UTF-8 or UTF-16.
"""

from __future__ import annotations

import warnings
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from atcaprov.certs import der
from atcaprov.certs.key_files.containers import (
    OTHER_LABELS,
    TO_PKCS8,
    is_pkcs12,
    refuse_other_container,
    require_one_key,
)
from atcaprov.certs.key_files.jwk import read_private_jwk
from atcaprov.certs.key_files.refusals import KeyFileError
from atcaprov.certs.key_files.text import content_of, is_der, is_json, pem_blocks
from atcaprov.errors import CertificateError, Code, UsageError

_KEY_LABELS: Final = frozenset({b"EC PRIVATE KEY", b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"RSA PRIVATE KEY"})
_UNKNOWN_CIPHERS: Final = ("Unknown key encryption algorithm", "unknown cipher")
"""Words of `cryptography` in the ValueError for a cipher that it does not know; a wrong password has others."""


def key_is_encrypted(data: bytes, source: str) -> bool:
    """Tell whether a key file needs a password; raises UsageError (key-file-invalid) when it holds no key."""
    try:
        return _is_encrypted(_key_block(data))
    except KeyFileError as error:
        raise error.told(source) from None


def read_private_key(data: bytes, password: bytes | None, source: str) -> ec.EllipticCurvePrivateKey:
    """Return the key of a file's bytes; `source` names the file in messages.

    A password that is not needed is ignored. Raises UsageError: key-file-invalid says what the file is instead,
    password-wrong when the password is wrong or missing.
    """
    try:
        block = _key_block(data)
        encrypted = _is_encrypted(block)
        if encrypted and not password:
            raise UsageError(f"The key in {source} is encrypted and needs its password.", code=Code.PASSWORD_WRONG)
        return _p256(_loaded(block, password if encrypted else None))
    except KeyFileError as error:
        raise error.told(source) from None
    except _WrongPasswordError:
        raise _wrong_password(source) from None


class _WrongPasswordError(Exception):
    """The password does not decrypt the key."""


def _key_block(data: bytes) -> bytes:
    """Return the one PEM block that is a private key, or DER: the file itself, or what a JWK holds."""
    content = content_of(data)
    if is_json(content):
        return read_private_jwk(content).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    blocks = pem_blocks(content)
    found = [block for label, block in blocks if label in _KEY_LABELS]
    if len(found) == 1:
        return found[0]
    if found:
        raise KeyFileError(f"holds {len(found)} private keys; it must hold one")
    if blocks:
        label = blocks[-1][0]
        raise OTHER_LABELS.get(label) or KeyFileError(f"holds '{label.decode()}', not a private key on P-256")
    refuse_other_container(content)
    if not is_der(content):
        raise KeyFileError("holds no private key")
    return content


def _is_encrypted(block: bytes) -> bool:
    if is_pkcs12(block):
        return not _opens_without_password(block)
    if not is_der(block):
        return block.startswith(b"-----BEGIN ENCRYPTED") or b"Proc-Type: 4,ENCRYPTED" in block
    try:
        whole = der.expect(der.read_tlv(block, 0, len(block)), der.SEQUENCE, "a key")
        first = der.read_tlv(block, whole.content, whole.end)
    except CertificateError:
        raise KeyFileError("is damaged, or holds no private key") from None
    return first.tag == der.SEQUENCE


def _opens_without_password(block: bytes) -> bool:
    try:
        _load_pkcs12(block, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _loaded(block: bytes, password: bytes | None) -> object:
    try:
        if is_pkcs12(block):
            return _key_of_pkcs12(block, password)
        load = load_der_private_key if is_der(block) else load_pem_private_key
        return load(block, password)
    except UnsupportedAlgorithm:
        raise KeyFileError("holds a key or an encryption that is not supported; the key must be on P-256") from None
    except (ValueError, TypeError) as error:
        if any(words in str(error) for words in _UNKNOWN_CIPHERS):
            raise KeyFileError("is encrypted with a cipher that is not supported", _to_pkcs8(block)) from None
        if password is not None:
            raise _WrongPasswordError from None
        raise KeyFileError("is damaged, or describes its curve in an unusual way") from None


def _to_pkcs8(block: bytes) -> str:
    return TO_PKCS8.replace("-topk8", "-topk8 -inform DER") if is_der(block) else TO_PKCS8


def _load_pkcs12(block: bytes, password: bytes | None) -> pkcs12.PKCS12KeyAndCertificates:
    with warnings.catch_warnings():  # `cryptography` warns of BER, in which browsers wrote PKCS#12
        warnings.filterwarnings("ignore", message="PKCS#12 bundle could not be parsed as DER", category=UserWarning)
        return pkcs12.load_pkcs12(block, password)


def _key_of_pkcs12(block: bytes, password: bytes | None) -> object:
    key = _load_pkcs12(block, password).key
    if key is None:
        raise KeyFileError("is PKCS#12 with certificates and no private key")
    require_one_key(block)
    return key


def _p256(loaded: object) -> ec.EllipticCurvePrivateKey:
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        kind = type(loaded).__name__.removeprefix("_").removesuffix("PrivateKey")
        raise KeyFileError(f"holds a key of the kind {kind}; the chip knows elliptic curve keys on P-256 only")
    if not isinstance(loaded.curve, ec.SECP256R1):
        raise KeyFileError(f"holds a key on the curve {loaded.curve.name}; the chip knows P-256 (prime256v1) only")
    return loaded


def _wrong_password(source: str) -> UsageError:
    return UsageError(
        f"The password does not open the key in {source}.",
        advice="Give the right one; if it is right, the file is damaged.",
        code=Code.PASSWORD_WRONG,
    )
