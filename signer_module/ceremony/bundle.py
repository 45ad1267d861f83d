"""The file that goes to the root: the requests, and the descriptions of what the certificates will be.

JSON with its keys in one order, indented, so that people can read it and each bundle has exactly one SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from atcaprov.certs.descriptions.description import CertificateDescription, description_document
from atcaprov.certs.document_reader import Document
from atcaprov.errors import Code, UsageError
from signer_module.ceremony.certification_request import CertificationRequest, request_from_pem
from signer_module.signer_description import SignerDescriptions

FORMAT: Final = "atcaprov key ceremony: to be signed"
LONGEST_FILE: Final = 1 << 20
"""Bytes of a bundle, signed or not."""
REQUESTS_MAX: Final = 64
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_LONGEST_FORMAT: Final = 64
_LONGEST_TEXT: Final = 20_000


@dataclass(frozen=True)
class Bundle:
    """What a root is asked to sign. `made` is when, by the clock of the computer that made it (UTC)."""

    made: datetime
    descriptions: SignerDescriptions
    requests: tuple[CertificationRequest, ...]

    def __post_init__(self) -> None:
        """Raise UsageError (file-invalid) for two requests for one signer id or one key."""
        if not 1 <= len(self.requests) <= REQUESTS_MAX:
            raise fault("requests", f"must be 1 to {REQUESTS_MAX}")
        for name, values in (
            ("signer id", [each.signer_id.hex().upper() for each in self.requests]),
            ("key", [each.key_id for each in self.requests]),
        ):
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise fault("requests", f"have the {name} {twice} twice")

    def encode(self) -> str:
        """Return the text of the file."""
        return encode(self.document())

    def document(self) -> dict[str, Any]:
        """Return it as a map of JSON values."""
        return {
            "format": FORMAT,
            "made": time_text(self.made),
            "signer_description": description_document(self.descriptions.signer),
            "device_description": description_document(self.descriptions.device),
            "requests": [each.pem.splitlines() for each in self.requests],
        }

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return hashlib.sha256(self.encode().encode()).digest()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a file; raises UsageError (file-invalid) or CertificateError (request-invalid)."""
        return cls.of(decode(text, FORMAT)[1], text)

    @classmethod
    def of(cls, found: object, text: str | None = None) -> Self:
        """Read a map; with the text it came from, that must be exactly as this program writes it."""
        document = Document(found, fault=fault)
        document.text("format", _LONGEST_FORMAT)
        signer = CertificateDescription.from_document(document.get("signer_description"))
        device = CertificateDescription.from_document(document.get("device_description"))
        if (signer.role, device.role) != ("signer", "device"):
            raise fault("descriptions", "must be of a signer and of its devices")
        requests = tuple(request_from_pem(lines_text(each), signer) for each in items_of(document, "requests"))
        bundle = cls(time_of(document, "made"), SignerDescriptions(signer, device), requests)
        document.finish()
        if text is not None and bundle.encode() != text:
            raise fault("the file", "is not as it was written: it was changed, or damaged")
        return bundle


def digest_words(digest: bytes) -> str:
    """Return a digest in groups of four digits, to be read aloud at both computers."""
    digits = digest.hex().upper()
    return " ".join(digits[place : place + 4] for place in range(0, len(digits), 4))


def encode(document: object) -> str:
    """Return JSON that people can read. Keys stay in their order: that of a subject means something."""
    return json.dumps(document, indent=2) + "\n"


def decode(text: str, *formats: str) -> tuple[str, object]:
    """Return which of these formats a file has, and its map; raises UsageError (file-invalid)."""
    if len(text) > LONGEST_FILE:
        raise fault("the file", f"must be at most {LONGEST_FILE} characters long")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise fault("the file", "is not JSON: it is damaged, or no bundle") from error
    kind = found.get("format") if isinstance(found, dict) else None
    if kind not in formats:
        shown = f", it is '{kind[:_LONGEST_FORMAT]}'" if isinstance(kind, str) else ""
        raise fault("the file", f"is not '{formats[0]}'{shown}")
    return str(kind), found


def time_text(moment: datetime) -> str:
    """Return a time in UTC as `2026-11-21T10:15:40Z`."""
    return moment.strftime(_TIME)


def time_of(document: Document, key: str) -> datetime:
    """Return the time of a key; raises the document's error."""
    try:
        return datetime.strptime(document.text(key, 20), _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise fault(document.at(key), "must be a time such as 2026-11-21T10:15:40Z") from error


def lines_text(value: object) -> str:
    """Return the lines of a PEM text; raises UsageError (file-invalid)."""
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise fault("a PEM text", "must be a list of lines")
    text = "\n".join(value) + "\n"
    if len(text) > _LONGEST_TEXT:
        raise fault("a PEM text", f"must be at most {_LONGEST_TEXT} characters long")
    return text


def items_of(document: Document, key: str) -> list[object]:
    """Return the list of a key; raises UsageError (file-invalid)."""
    value = document.get(key)
    if not isinstance(value, list) or len(value) > REQUESTS_MAX:
        raise fault(document.at(key), f"must be a list of at most {REQUESTS_MAX}")
    return value


def fault(path: str, rule: str) -> UsageError:
    """Return the error for a file that is no bundle of a ceremony."""
    return UsageError(
        f"The bundle is refused: {path} {rule}.",
        advice="Copy it again from where it was made, and compare the digest.",
        code=Code.FILE_INVALID,
    )
