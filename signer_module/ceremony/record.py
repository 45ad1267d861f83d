"""Who was there, and what was signed. The root signs the record, so that nobody can exchange it later.

What the root signs begins with a text of ours, never with 30 (hex) as every certificate and revocation list does: a
record can never be taken for a certificate, nor a certificate for a record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from atcaprov.certs.document_reader import Document
from atcaprov.certs.keys import key_id, verify_digest
from atcaprov.errors import CertificateError, Code
from signer_module.ceremony.bundle import encode, fault, items_of, time_of, time_text

_PREFIX: Final = b"atcaprov key ceremony record 1\n"
_LONGEST: Final = 200
WITNESSES_MAX: Final = 16


@dataclass(frozen=True)
class CeremonyRecord:
    """The record: when by the clock of the root's computer, where, why, who saw it, and SHA-256 of all that counts.

    `clock_reason` says why that clock was accepted although it is far from the bundle's; empty: it is not.
    """

    time: datetime
    place: str
    reason: str
    witnesses: tuple[str, ...]
    bundle_sha256: bytes
    root_key_id: str
    certificates_sha256: tuple[bytes, ...] = ()
    clock_reason: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as a map of JSON values."""
        return {
            "time": time_text(self.time),
            "place": self.place,
            "reason": self.reason,
            "witnesses": list(self.witnesses),
            "bundle_sha256": self.bundle_sha256.hex(),
            "root_key_id": self.root_key_id,
            "certificates_sha256": [each.hex() for each in self.certificates_sha256],
            "clock_reason": self.clock_reason,
        }

    @classmethod
    def of(cls, found: object) -> Self:
        """Read a map; raises UsageError (file-invalid)."""
        document = Document(found, "record", fault=fault)
        record = cls(
            time=time_of(document, "time"),
            place=_text(document, "place"),
            reason=_text(document, "reason"),
            witnesses=tuple(_texts(document, "witnesses")),
            bundle_sha256=_digest(document.get("bundle_sha256")),
            root_key_id=document.text("root_key_id", 40),
            certificates_sha256=tuple(map(_digest, items_of(document, "certificates_sha256"))),
            clock_reason=_text(document, "clock_reason", least=0),
        )
        document.finish()
        return record

    @property
    def digest(self) -> bytes:
        """What the root signs (32 bytes)."""
        return hashlib.sha256(_PREFIX + encode(self.document()).encode()).digest()

    def require_signed(self, root_public_key: bytes, signature: bytes) -> None:
        """Raise key-mismatch or file-invalid unless the root (X||Y, 64 bytes) has signed it (R||S)."""
        if self.root_key_id != key_id(root_public_key).hex():
            raise CertificateError("The record of the ceremony is of another root.", code=Code.KEY_MISMATCH)
        if not verify_digest(root_public_key, self.digest, signature):
            raise fault("the record", "was changed after the root had signed it")


def require_people(witnesses: Sequence[str], *, alone: bool) -> None:
    """Raise UsageError unless two people are named, or one if that is accepted."""
    if len(set(witnesses)) < (1 if alone else 2) or len(witnesses) > WITNESSES_MAX:
        raise fault("witnesses", f"must be at least two people, by different names, and at most {WITNESSES_MAX}")


def _text(document: Document, key: str, *, least: int = 1) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not least <= len(value) <= _LONGEST or not value.isprintable():
        raise fault(document.at(key), f"must be a text of {least} to {_LONGEST} printable characters")
    return value


def _texts(document: Document, key: str) -> list[str]:
    found = items_of(document, key)
    if not all(isinstance(each, str) and each and len(each) <= _LONGEST and each.isprintable() for each in found):
        raise fault(document.at(key), "must be names")
    return [str(each) for each in found]


def _digest(value: object) -> bytes:
    try:
        digest = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise fault("a digest", "must have 64 hexadecimal digits")
    return digest
