"""Compare two certificates field by field: what was expected, what was found, and the probable cause."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.certs.certificate_fields import (
    EXTENSION,
    ISSUER,
    NOT_AFTER,
    NOT_BEFORE,
    PUBLIC_KEY,
    SERIAL_NUMBER,
    SIGNATURE,
    SUBJECT,
    CertificateField,
    certificate_fields,
)
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.field_text import AUTHORITY_KEY_ID, SUBJECT_KEY_ID
from atcaprov.errors import CertificateError

WHOLE: Final = "certificate"
_NONE: Final = "none"
_SUBJECT_KEY: Final = f"{EXTENSION} {SUBJECT_KEY_ID}"
_AUTHORITY_KEY: Final = f"{EXTENSION} {AUTHORITY_KEY_ID}"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that differs: its place in the expected certificate, both values in words, and the probable cause."""

    field: str
    start: int
    end: int
    """Exclusive; the same as `start` for a field that the expected certificate does not have."""
    expected: str
    found: str
    cause: str
    """A sentence, or nothing."""

    def __str__(self) -> str:
        cause = f" ({self.cause[0].lower()}{self.cause[1:].rstrip('.')})" if self.cause else ""
        return f"{self.field}: expected {self.expected}, found {self.found}{cause}"


def listed(differences: Iterable[FieldDifference]) -> str:
    """Return the differences for a message: the end of a sentence, without a period."""
    return "; ".join(map(str, differences))


def counted(differences: Sequence[FieldDifference]) -> str:
    """Return how many fields differ: the end of a sentence, without a period."""
    return "1 field differs" if len(differences) == 1 else f"{len(differences)} fields differ"


def explain_differences(definition: CertificateDefinition, expected: bytes, found: bytes) -> list[FieldDifference]:
    """Return the fields in which two certificates (DER) differ, in their order; nothing when they are equal.

    `expected` must be a certificate of the definition; `found` may be anything.
    """
    return certificate_differences(expected, found, family=f" of the definition {definition.name}")


def certificate_differences(expected: bytes, found: bytes, *, family: str = "") -> list[FieldDifference]:
    """Return the fields in which `found`, which may be anything, differs from a certificate (DER), in their order."""
    if expected == found:
        return []
    try:
        differing = list(_differing(certificate_fields(expected), expected, certificate_fields(found), found))
    except CertificateError as error:
        cause = f"These are not a certificate{family}. {error.what}" if found else "The certificate is missing."
        return [_whole(expected, found, cause)]
    if not differing:
        return [_whole(expected, found, "Lengths or tags around the fields are written differently.")]
    names = {difference.field for difference in differing}
    return [_with_cause(difference, names) for difference in differing]


def _whole(expected: bytes, found: bytes, cause: str) -> FieldDifference:
    return FieldDifference(
        WHOLE, 0, len(expected), f"a certificate of {len(expected)} bytes", f"{len(found)} bytes", cause
    )


def _differing(
    wanted: list[CertificateField], expected: bytes, got: list[CertificateField], found: bytes
) -> Iterator[FieldDifference]:
    there = {field.name: field for field in got}
    names = {field.name for field in wanted}
    for field in wanted:
        other = there.get(field.name)
        if other is None:
            yield FieldDifference(field.name, field.start, field.end, field.text, _NONE, "")
        elif expected[field.start : field.end] != found[other.start : other.end]:
            yield FieldDifference(field.name, field.start, field.end, *_told_apart(field, expected, other, found), "")
    for field in got:
        if field.name not in names:
            yield FieldDifference(field.name, 0, 0, _NONE, field.text, "")
    for prefix, what in ((ISSUER, "issuer's parts"), (SUBJECT, "subject's parts"), (EXTENSION, "extensions")):
        yield from _order(f"order of the {what}", f"{prefix} ", wanted, got)


def _told_apart(field: CertificateField, expected: bytes, other: CertificateField, found: bytes) -> tuple[str, str]:
    """Return both values; where they read the same, with the first byte that is written differently."""
    if field.text != other.text:
        return field.text, other.text
    first, second = expected[field.start : field.end], found[other.start : other.end]
    at = next((at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), len(first))
    return (
        f"{field.text} with {first[at : at + 1].hex().upper() or 'nothing'} at its byte {at}",
        f"{other.text} with {second[at : at + 1].hex().upper() or 'nothing'} there",
    )


def _order(
    what: str, prefix: str, wanted: list[CertificateField], got: list[CertificateField]
) -> Iterator[FieldDifference]:
    first, second = _names(prefix, wanted), _names(prefix, got)
    before = [name for name in first if name in second]
    after = [name for name in second if name in first]
    if before != after:
        yield FieldDifference(what, 0, 0, ", ".join(before), ", ".join(after), "")


def _names(prefix: str, fields: list[CertificateField]) -> list[str]:
    return [field.name.removeprefix(prefix) for field in fields if field.name.startswith(prefix)]


def _with_cause(difference: FieldDifference, names: Collection[str]) -> FieldDifference:
    cause = _cause(difference, names)
    return FieldDifference(
        difference.field, difference.start, difference.end, difference.expected, difference.found, cause
    )


def _cause(difference: FieldDifference, names: Collection[str]) -> str:
    field = difference.field
    if _NONE in (difference.expected, difference.found):
        return "The certificate was made with another template."
    if field == SERIAL_NUMBER:
        return _serial_cause(names)
    if field == PUBLIC_KEY:
        return "The certificate is for another key: that of another unit, or of this one before a new GenKey."
    if field == _SUBJECT_KEY:
        return _follows(names, PUBLIC_KEY) or "It is not the SHA-1 of the public key: another template made it."
    if field == _AUTHORITY_KEY:
        return "It was signed with the key of another signer or root: the issuer is not the expected one."
    if field.startswith(f"{ISSUER} "):
        return "Another signer issued the certificate."
    if field.startswith(f"{SUBJECT} "):
        return "The certificate names another device, or was made with another description."
    if field in (NOT_BEFORE, NOT_AFTER):
        return _date_cause(field, names)
    if field == SIGNATURE:
        return _signature_cause(names)
    return "The certificate was made with another template: the definition was changed and kept its ids."


def _serial_cause(names: Collection[str]) -> str:
    followed = [
        name for name in sorted(names) if name in (PUBLIC_KEY, NOT_BEFORE, NOT_AFTER) or name.startswith(SUBJECT)
    ]
    if followed:
        return f"It is made from fields that differ too: {', '.join(followed)}."
    return (
        "The key is the same, so the number was made with other dates, from another source (SN source), "
        "or with another chip's serial number."
    )


def _date_cause(field: str, names: Collection[str]) -> str:
    if field == NOT_BEFORE:
        return "It was issued at another time: the device got two certificates, or the dates were damaged."
    if NOT_BEFORE in names:
        return "It follows from notBefore, if the number of years is the same."
    return "The definition has another number of years than the compressed certificate."


def _signature_cause(names: Collection[str]) -> str:
    if len(names) > 1:
        return "It follows from the other differences: different content has a different signature."
    return (
        "Everything else is equal: the certificate was issued a second time (each signature differs), "
        "or the compressed certificate on the chip was damaged."
    )


def _follows(names: Collection[str], field: str) -> str:
    return f"It is the hash of the {field}, which differs too." if field in names else ""
