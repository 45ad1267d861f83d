"""Certificate definitions: the template of a family of certificates, and where its variable parts come from."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Self

import cbor2

from atcaprov.bounded_reading import MalformedError, parse_json
from atcaprov.certs import dates
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.definitions import checks as definition_checks
from atcaprov.certs.definitions import document as definition_document
from atcaprov.certs.definitions.fields import (
    CertElement,
    CertificateType,
    CertLocation,
    DefinitionFields,
    DeviceLocation,
    DeviceZone,
    Role,
    StdElement,
    Transform,
)
from atcaprov.certs.serial_number import SerialSource
from atcaprov.errors import CertificateError, Code

__all__ = [
    "CertElement",
    "CertLocation",
    "CertificateDefinition",
    "CertificateType",
    "DateFormat",
    "DeviceLocation",
    "DeviceZone",
    "Role",
    "SerialSource",
    "StdElement",
    "Transform",
]

MAX_DOCUMENT: Final = 16_384
"""Longest definition that is read, in bytes (CBOR) or characters (JSON)."""


@dataclass(frozen=True)
class CertificateDefinition(DefinitionFields):
    """A checked definition; a contradiction raises CertificateError (definition-invalid)."""

    _known_issuable = False

    def __post_init__(self) -> None:
        definition_checks.check(self)

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        """Computed once: a definition is the key of caches that each certificate asks."""
        return hash((self.name, self.role, self.cert_template, self.std_cert_elements))

    @functools.cached_property
    def write_slots(self) -> Mapping[int, str]:
        """Data slots of the certificate's parts, with the name of each part."""
        parts = [
            (self.comp_cert_dev_loc, f"{self.role} compressed certificate"),
            (self.public_key_dev_loc, f"{self.role} public key"),
        ]
        return MappingProxyType(
            {loc.slot: what for loc, what in parts if loc.zone is DeviceZone.DATA and not loc.by_gen_key}
        )

    @functools.cached_property
    def needs_chip_serial(self) -> bool:
        """Whether a certificate contains the chip's serial number, or a hash of it."""
        return definition_checks.needs_chip_serial(self)

    @functools.cached_property
    def elements_of_chip_serial(self) -> tuple[CertElement, ...]:
        """The elements that are taken from the chip's serial number."""
        return tuple(each for each in self.cert_elements if definition_checks.is_chip_serial(each.device_loc))

    @functools.cached_property
    def other_elements(self) -> tuple[CertElement, ...]:
        """The elements that are taken from elsewhere on the chip."""
        return tuple(each for each in self.cert_elements if not definition_checks.is_chip_serial(each.device_loc))

    def require_issuable(self) -> None:
        """Raise CertificateError, with the reason, unless certificates can be issued; checked once."""
        if not self._known_issuable:
            definition_checks.check_issuable(self)
            object.__setattr__(self, "_known_issuable", True)

    def issue_date(self, now: datetime) -> datetime:
        """Return the issue date for the moment `now` (see dates.issue_hour)."""
        return dates.issue_hour(now, self.expire_years)

    def to_document(self) -> dict[str, Any]:
        """Return the definition as a map of plain values; the template stays bytes."""
        return definition_document.to_document(self)

    @classmethod
    def from_document(cls, document: object) -> Self:
        """Read and check a map; raises CertificateError (definition-invalid) with the path of the wrong value."""
        return cls(**definition_document.fields(document))

    def to_json(self) -> str:
        """Return the document as JSON, the template as hexadecimal text."""
        document = self.to_document()
        document["cert_template"] = self.cert_template.hex()
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read `to_json`; raises CertificateError (definition-invalid) for anything else."""
        _check_size(len(text))
        try:
            document = parse_json(text)
            if isinstance(document, dict) and isinstance(document.get("cert_template"), str):
                document["cert_template"] = bytes.fromhex(document["cert_template"])
        except (MalformedError, ValueError) as error:
            raise _unreadable("JSON") from error
        return cls.from_document(document)

    def to_bytes(self) -> bytes:
        """Return the document as CBOR."""
        return cbor2.dumps(self.to_document())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`; raises CertificateError (definition-invalid) for anything else."""
        _check_size(len(data))
        try:
            stream = io.BytesIO(data)
            document = cbor2.load(stream)
        except Exception as error:
            # The decoder of another package: every exception of it means the same.
            raise _unreadable("CBOR") from error
        if stream.read(1):
            raise _unreadable("CBOR")
        return cls.from_document(document)


def _check_size(size: int) -> None:
    if size > MAX_DOCUMENT:
        raise CertificateError(
            f"The certificate definition has {size} bytes; at most {MAX_DOCUMENT} are read.",
            code=Code.DEFINITION_INVALID,
        )


def _unreadable(form: str) -> CertificateError:
    return CertificateError(f"The certificate definition is not readable as {form}.", code=Code.DEFINITION_INVALID)
