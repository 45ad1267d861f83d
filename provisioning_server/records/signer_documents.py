"""The certificates and definitions that a signer issues with. Part of every reply, kept with the records.

The id is the SHA-256 of the documents, so a record names exactly what it was issued with even after a signer is gone.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Final, Protocol, Self

import cbor2

from atcaprov.certs.dates import DateFormat, parse_date
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.rebuild import slot_contents
from atcaprov.certs.x509_layout import authority_layout, certificate_layout
from atcaprov.errors import CertificateError, Code, UsageError
from atcaprov.wire.fields import SlotWrite
from atcaprov.wire.messages import SignerReply

_UTC_TIME: Final = 0x17
"""The DER tag."""


class DocumentedSigner(Protocol):
    """The parts of any signer: a signer folder, a signer module and others."""

    @property
    def public_key(self) -> bytes:
        """X||Y, 64 bytes."""

    @property
    def certificate(self) -> bytes:
        """DER."""

    @property
    def compressed(self) -> bytes:
        """72 bytes."""

    @property
    def root_certificate(self) -> bytes:
        """DER."""

    @property
    def signer_definition(self) -> CertificateDefinition:
        """Definition of the signer's own certificate."""

    @property
    def device_definition(self) -> CertificateDefinition:
        """Definition of what it issues."""


@dataclass(frozen=True)
class SignerDocuments:
    """All values as bytes: public key X||Y (64), certificates (DER), compressed form (72), definitions as written."""

    signer_public_key: bytes
    signer_certificate: bytes
    signer_compressed: bytes
    root_certificate: bytes
    signer_definition: bytes
    device_definition: bytes

    @classmethod
    def of(cls, parts: DocumentedSigner) -> Self:
        """Collect the documents of a signer."""
        return cls(
            signer_public_key=parts.public_key,
            signer_certificate=parts.certificate,
            signer_compressed=parts.compressed,
            root_certificate=parts.root_certificate,
            signer_definition=parts.signer_definition.to_bytes(),
            device_definition=parts.device_definition.to_bytes(),
        )

    @functools.cached_property
    def document_id(self) -> str:
        """Return the SHA-256 of `to_bytes`, 64 hex digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @functools.cached_property
    def group(self) -> bytes:
        """Return the id of the group of signers of one product: 32 bytes, from the root's key and both definitions."""
        root = authority_layout(self.root_certificate).public_key.of(self.root_certificate)
        parts = (root, self.signer_definition, self.device_definition)
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()

    @functools.cached_property
    def ca_keys(self) -> frozenset[bytes]:
        """Return the keys (X||Y) of the signer and of the CA above it."""
        root = authority_layout(self.root_certificate).public_key.of(self.root_certificate)
        return frozenset({self.signer_public_key, root})

    @functools.cached_property
    def device(self) -> CertificateDefinition:
        """Return the definition of the device certificates."""
        return CertificateDefinition.from_bytes(self.device_definition)

    @functools.cached_property
    def issue_years(self) -> tuple[int, int]:
        """Return the first and the last year in which it can issue."""
        return self.device.first_issue_year, self.device.last_issue_year

    @functools.cached_property
    def validity(self) -> tuple[datetime, datetime] | None:
        """Return begin and end of the signer's certificate (UTC); None for dates that no chip can hold.

        An external CA may give such dates; they are not checked.
        """
        layout = certificate_layout(self.signer_certificate)
        pairs = ((layout.issue_date, layout.issue_date_tag), (layout.expire_date, layout.expire_date_tag))
        try:
            begin, end = (parse_date(span.of(self.signer_certificate), _date_format(tag)) for span, tag in pairs)
        except CertificateError:
            return None
        return begin, end

    @functools.cached_property
    def offer(self) -> SignerReply:
        """Return what a client is told about the signer; raises UsageError for a part that is too large."""
        return SignerReply(
            self.signer_certificate, self.root_certificate, self.device_definition, self.signer_definition
        )

    @functools.cached_property
    def signer_writes(self) -> tuple[SlotWrite, ...]:
        """Return the writes of the signer certificate's parts to each chip, as in replies."""
        definition = CertificateDefinition.from_bytes(self.signer_definition)
        writes = slot_contents(definition, compressed=self.signer_compressed, public_key=self.signer_public_key)
        return tuple(SlotWrite(write.slot, write.offset, write.data) for write in writes)

    def check(self) -> None:
        """Raise CertificateError or UsageError unless every reply can be made of these documents."""
        if not (self.offer and self.signer_writes):
            raise UsageError("A signer's certificate takes no place on a chip.", code=Code.DEFINITION_INVALID)

    def to_bytes(self) -> bytes:
        """Return the documents as one CBOR map."""
        return cbor2.dumps(asdict(self), canonical=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`; raises UsageError (file-invalid) for anything else."""
        names = [field.name for field in fields(cls)]
        try:
            found = cbor2.loads(data)
            documents = cls(**{name: found[name] for name in names})
        except Exception as error:  # a damaged file: any exception of the decoder means the same
            raise _damaged() from error
        if any(type(getattr(documents, name)) is not bytes for name in names):
            raise _damaged()
        return documents


def _date_format(tag: int) -> DateFormat:
    return DateFormat.RFC5280_UTC if tag == _UTC_TIME else DateFormat.RFC5280_GEN


def _damaged() -> UsageError:
    return UsageError(
        "A file of signer documents in the data folder is damaged.",
        advice="Restore it from a backup of the data folder.",
        code=Code.FILE_INVALID,
    )
