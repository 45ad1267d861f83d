"""The proof that a chip holds the key of its certificate: what the chip signs, and whether a signature is that proof.

The bytes are those of docs/reference/wire-protocol.md. They begin with a text of their own, so that a server that
chooses the challenge cannot choose what is signed.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Final

from atcaprov.certs.keys import verify_rare_digest
from atcaprov.certs.rebuild import SlotContent

_TEXT: Final = b"atcaprov proof of possession 1\n"
_PART: Final = struct.Struct(">BHH")
OTP_SLOT: Final = 0xFF
"""Stands for the OTP zone where a part names its slot."""


def contents_digest(parts: Iterable[SlotContent]) -> bytes:
    """Return the SHA-256 over parts of slots as they were read: in ascending order of slot and offset, each once.

    Each part is its slot (1 byte), offset and length (2 bytes each, big-endian), then its bytes.
    """
    digest = hashlib.sha256()
    for part in sorted(set(parts), key=lambda part: (part.slot, part.offset, part.data)):
        digest.update(_PART.pack(part.slot, part.offset, len(part.data)) + part.data)
    return digest.digest()


def possession_digest(challenge: bytes, certificate_sha256: bytes, contents_sha256: bytes) -> bytes:
    """Return the SHA-256 that the chip signs; all three have 32 bytes."""
    return hashlib.sha256(_TEXT + challenge + certificate_sha256 + contents_sha256).digest()


def is_possession_proof(
    public_key: bytes, signature: bytes, challenge: bytes, certificate_sha256: bytes, contents_sha256: bytes
) -> bool:
    """Tell whether R||S proves the key X||Y for a challenge, a certificate and what was read back."""
    digest = possession_digest(challenge, certificate_sha256, contents_sha256)
    return verify_rare_digest(public_key, digest, signature)
