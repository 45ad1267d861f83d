"""Compare two certificates of one definition field by field, with the probable cause of each difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.certs.definitions.definition import CertificateDefinition, StdElement
from atcaprov.certs.structure_comparison import explain_structure
from atcaprov.certs.x509_layout import CertificateLayout, Span, certificate_layout
from atcaprov.errors import CertificateError

SERIAL_NUMBER: Final = "serial number"
ISSUER: Final = "issuer"
SIGNER_ID: Final = "signer id"
ISSUE_DATE: Final = "issue date"
EXPIRE_DATE: Final = "expire date"
SUBJECT: Final = "subject"
PUBLIC_KEY: Final = "public key"
SUBJECT_KEY_ID: Final = "subject key id"
AUTHORITY_KEY_ID: Final = "authority key id"
SIGNATURE: Final = "signature"
CONSTANT_PART: Final = "constant part"
WHOLE: Final = "certificate"
_HEADER: Final = 4


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that differs: its bytes in the expected certificate, both values, and the probable cause."""

    field: str
    start: int
    end: int
    """Exclusive."""
    expected: bytes
    found: bytes
    cause: str
    """A sentence."""

    def __str__(self) -> str:
        return f"{self.field} (bytes {self.start}-{self.end - 1}): {self.cause}"


def explain_differences(definition: CertificateDefinition, expected: bytes, found: bytes) -> list[FieldDifference]:
    """Return the fields in which two certificates (DER) differ, in their order; nothing when they are equal.

    `expected` must be a certificate of the definition; `found` may be anything.
    """
    if expected == found:
        return []
    layout = definition.layout
    end = layout.signature.start
    if not _comparable(layout, found) or not _comparable(layout, expected):
        return [FieldDifference(WHOLE, 0, len(expected), expected, found, _whole_cause(definition, expected, found))]
    fields = _fields(definition, layout)
    differing = [(name, span) for name, span in fields if span.of(expected) != span.of(found)]
    constants = _constant_differences(fields, expected, found, end)
    names = {name for name, _ in differing} | ({CONSTANT_PART} if constants else set())
    differing += [(CONSTANT_PART, span) for span in constants]
    differing.sort(key=lambda pair: pair[1].start)
    differences = [_difference(name, span, expected, found, names) for name, span in differing]
    if expected[end:] != found[end:]:
        differences.append(_signature_difference(end, expected, found, names))
    return differences


def _comparable(layout: CertificateLayout, found: bytes) -> bool:
    try:
        other = certificate_layout(found)
    except CertificateError:
        return False
    return other.tbs == layout.tbs and other.public_key == layout.public_key and other.subject == layout.subject


def _fields(definition: CertificateDefinition, layout: CertificateLayout) -> list[tuple[str, Span]]:
    fields = [
        (SERIAL_NUMBER, layout.serial_number),
        (ISSUE_DATE, layout.issue_date),
        (EXPIRE_DATE, layout.expire_date),
        (PUBLIC_KEY, layout.public_key),
    ]
    signer_id = definition.element(StdElement.SIGNER_ID)
    in_issuer = layout.issuer.holds(signer_id.offset, signer_id.end)
    fields.append((SIGNER_ID, Span(signer_id.offset, signer_id.end)))
    fields += [(ISSUER, part) for part in _around(layout.issuer, signer_id.offset, signer_id.end, in_issuer)]
    fields += [(SUBJECT, part) for part in _around(layout.subject, signer_id.offset, signer_id.end, not in_issuer)]
    optional = [(SUBJECT_KEY_ID, layout.subject_key_id), (AUTHORITY_KEY_ID, layout.authority_key_id)]
    return fields + [(name, span) for name, span in optional if span is not None]


def _around(span: Span, start: int, end: int, inside: bool) -> list[Span]:
    if not inside or start == end:
        return [span]
    return [Span(span.start, start), Span(end, span.end)]


def _constant_differences(fields: list[tuple[str, Span]], expected: bytes, found: bytes, end: int) -> list[Span]:
    # The outer length follows from the signature's length and is not a difference of its own.
    named = {position for _, span in fields for position in range(span.start, span.end)}
    positions = [at for at in range(_HEADER, end) if at not in named and expected[at] != found[at]]
    return [Span(positions[0], positions[-1] + 1)] if positions else []


def _difference(name: str, span: Span, expected: bytes, found: bytes, names: set[str]) -> FieldDifference:
    return FieldDifference(name, span.start, span.end, span.of(expected), span.of(found), _cause(name, names))


def _signature_difference(end: int, expected: bytes, found: bytes, names: set[str]) -> FieldDifference:
    if names:
        cause = "It follows from the other differences: different content has a different signature."
    else:
        cause = (
            "Everything else is equal: the certificate was issued a second time (each signature differs), "
            "or the compressed certificate on the chip was damaged."
        )
    return FieldDifference(SIGNATURE, end, len(expected), expected[end:], found[end:], cause)


def _cause(name: str, names: set[str]) -> str:
    match name:
        case "serial number":
            return _serial_cause(names)
        case "public key":
            return "The certificate is for another key: that of another unit, or of this one before a new GenKey."
        case "subject key id":
            return _follows(names, PUBLIC_KEY) or "It is not the hash of the public key: another template made it."
        case "authority key id":
            return "It was signed with the key of another signer or root: the issuer is not the expected one."
        case "signer id" | "issuer":
            return "Another signer issued the certificate."
        case "issue date":
            return "It was issued at another time: the device got two certificates, or the dates were damaged."
        case "expire date":
            return (
                "The definition has another number of years than the compressed certificate."
                if ISSUE_DATE not in names
                else "It follows from the issue date, if the number of years is the same."
            )
        case "subject":
            return "The certificate names another device, or was made with another description."
        case _:
            return "The certificate was made with another template: the definition was changed and kept its ids."


def _serial_cause(names: set[str]) -> str:
    followed = [field for field in (PUBLIC_KEY, ISSUE_DATE, EXPIRE_DATE, SUBJECT) if field in names]
    if followed:
        return f"It is made from fields that differ too ({', '.join(followed)})."
    return (
        "The key is the same, so the number was made with other dates, from another source (SN source), "
        "or with another chip's serial number."
    )


def _follows(names: set[str], field: str) -> str:
    return f"It is the hash of the {field}, which differs too." if field in names else ""


def _whole_cause(definition: CertificateDefinition, expected: bytes, found: bytes) -> str:
    if not found:
        return "The certificate is missing."
    try:
        built_differently = explain_structure(expected, found)
    except CertificateError as error:
        return f"The {len(found)} bytes are not a certificate of the definition {definition.name}. {error.what}"
    return f"It does not have the structure of the definition {definition.name}: {'; '.join(built_differently)}."
