"""What is to be told of a certificate whose definition is derived, and what is found."""

from __future__ import annotations

from dataclasses import dataclass, field

from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.derivation.chip_parts import StoredText
from atcaprov.certs.descriptions.description import Slots
from atcaprov.errors import CertificateError, Code


@dataclass(frozen=True)
class DefinitionRequest:
    """What a certificate does not say of its definition, or does not say clearly."""

    name: str
    template_id: int
    chain_id: int
    slots: Slots
    issuer_public_key: bytes | None = None
    """X||Y (64 bytes) of the CA that signed it; None: neither signature nor authority key id is checked."""
    issuer_definition: str = ""
    chip_serial: bytes | None = None
    """9 bytes; None: what the names show."""
    serial_slot: tuple[int, int] | None = None
    """Slot and offset where the chip keeps a serial number that follows from nothing."""
    texts: tuple[StoredText, ...] = ()
    certificate_offset: int = 0
    key_offset: int = 0
    """Where compressed certificate and stored public key begin in their slots."""
    constant_end: bool = False
    """notAfter is the same in all certificates of the family."""

    def stores(self, date: bytes) -> bool:
        """Tell whether the chip keeps the text of a date of the certificate."""
        return any(text.data == date for text in self.texts)


@dataclass(frozen=True)
class DerivedDefinition:
    """A definition that rebuilds the certificate from its compressed form (72 bytes), and what is to know of it."""

    definition: CertificateDefinition
    compressed: bytes
    chip_serial: bytes | None
    notes: tuple[str, ...]


@dataclass
class Findings:
    """What the compressed form cannot hold, what to change at the CA, and what is only to be known."""

    problems: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, problem: str, advice: str) -> None:
        """Note a field that the compressed form cannot hold: `FIELD: what is wrong`, and what to change."""
        self.problems.append(problem)
        self.advice.append(advice)

    def check(self) -> None:
        """Raise CertificateError (certificate-mismatch) with all that was refused."""
        if self.problems:
            raise CertificateError(
                f"The certificate has no compressed form: {'; '.join(self.problems)}.",
                advice=f"{'. '.join(dict.fromkeys(self.advice))}.",
                code=Code.CERTIFICATE_MISMATCH,
            )
