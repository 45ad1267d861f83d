"""Write private keys as PKCS#8 that is slow to guess.

`cryptography` writes encrypted PKCS#8 with 2,048 rounds of PBKDF2, too few for a file that is stolen. The same standard
structure (RFC 8018, PBES2: PBKDF2 with HMAC-SHA256, AES-256-CBC) is made here with more rounds; OpenSSL and
`cryptography` read it.
"""

from __future__ import annotations

import base64
import os
import textwrap
from typing import Final

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from atcaprov.certs.der import INTEGER, OCTET_STRING, SEQUENCE, write_tlv

ROUNDS: Final = 600_000
_SALT_SIZE: Final = 16
_BLOCK_BITS: Final = 128
_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256: Final = bytes.fromhex("300c06082a864886f70d02090500")
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")


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
