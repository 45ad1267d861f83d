"""Take a certificate apart into named fields, each with its place and its value in words (RFC 5280, 4.1 and 4.2).

Any certificate is taken apart, also one that no definition describes. What cannot be read inside a field makes that
field unreadable and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from atcaprov.certs import der
from atcaprov.certs.der import Tlv, children, expect, read_tlv
from atcaprov.certs.field_text import (
    algorithm_text,
    date_text,
    extension_text,
    hex_text,
    name_attributes,
    object_id,
    public_key_text,
    serial_text,
    string_text,
)
from atcaprov.errors import CertificateError

SERIAL_NUMBER: Final = "serial number"
ISSUER: Final = "issuer"
SUBJECT: Final = "subject"
NOT_BEFORE: Final = "notBefore"
NOT_AFTER: Final = "notAfter"
PUBLIC_KEY: Final = "public key"
SIGNATURE: Final = "signature"
EXTENSION: Final = "extension"
UNREADABLE_FIELD: Final = "something unreadable"
"""Begins the text of a field that cannot be read."""
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_OPTIONAL: Final = MappingProxyType({0x81: "issuerUniqueID", 0x82: "subjectUniqueID"})


@dataclass(frozen=True, slots=True)
class CertificateField:
    """One field: its name, its bytes from `start` to `end` (exclusive), and its value in words."""

    name: str
    start: int
    end: int
    text: str


def certificate_fields(certificate: bytes) -> list[CertificateField]:
    """Return the fields of a certificate (DER) in their order; a second field of one name has ` (2)` behind it.

    Raises CertificateError when the bytes do not have the frame of a certificate.
    """
    found: list[CertificateField] = []
    counts: dict[str, int] = {}
    for field in _fields(certificate):
        counts[field.name] = number = counts.get(field.name, 0) + 1
        name = field.name if number == 1 else f"{field.name} ({number})"
        found.append(CertificateField(name, field.start, field.end, field.text))
    return found


def whole_name(certificate: bytes, role: str) -> str:
    """Return a name of a certificate, `issuer` or `subject`, with its string types; raises as `certificate_fields`."""
    fields = [field for field in certificate_fields(certificate) if field.name.startswith(f"{role} ")]
    return ", ".join(f"{field.name.removeprefix(f'{role} ')}={field.text}" for field in fields) or "an empty name"


def _fields(certificate: bytes) -> Iterator[CertificateField]:
    whole = expect(read_tlv(certificate, 0, len(certificate)), der.SEQUENCE, "a certificate")
    tbs, *outer = children(certificate, whole) or [whole]
    parts = children(certificate, expect(tbs, der.SEQUENCE, "the signed part"))
    version = parts.pop(0) if parts and parts[0].tag == _VERSION else None
    if len(parts) < 6:
        raise der.broken(tbs.start, "the signed part has too few fields")
    yield _version(certificate, version, parts[0].start)
    yield from _signed_part(certificate, *parts[:6])
    for part in parts[6:]:
        yield from _optional_part(certificate, part)
    yield from _outer_parts(certificate, outer)
    if whole.end != len(certificate):
        rest = certificate[whole.end :]
        yield CertificateField("bytes behind the certificate", whole.end, len(certificate), hex_text(rest))


def _version(certificate: bytes, version: Tlv | None, start: int) -> CertificateField:
    if version is None:
        return CertificateField("version", start, start, "X.509 v1")
    content = certificate[version.content : version.end]
    known = content[:2] == b"\x02\x01" and len(content) == 3
    return CertificateField(
        "version", version.start, version.end, f"X.509 v{1 + content[2]}" if known else hex_text(content)
    )


def _signed_part(
    certificate: bytes, serial: Tlv, algorithm: Tlv, issuer: Tlv, validity: Tlv, subject: Tlv, key: Tlv
) -> Iterator[CertificateField]:
    yield _field(certificate, SERIAL_NUMBER, serial, serial_text)
    yield _field(certificate, "signature algorithm", algorithm, algorithm_text)
    yield from _name(certificate, ISSUER, issuer)
    yield from _parts_of(certificate, "validity", validity, ((NOT_BEFORE, date_text), (NOT_AFTER, date_text)))
    yield from _name(certificate, SUBJECT, subject)
    yield from _parts_of(
        certificate, PUBLIC_KEY, key, (("key algorithm", algorithm_text), (PUBLIC_KEY, public_key_text))
    )


def _field(certificate: bytes, name: str, tlv: Tlv, text: Callable[[bytes, Tlv], str]) -> CertificateField:
    try:
        return CertificateField(name, tlv.start, tlv.end, text(certificate, tlv))
    except CertificateError as error:
        return _unreadable(name, tlv, error)


def _unreadable(name: str, tlv: Tlv, error: CertificateError) -> CertificateField:
    _, _, why = error.what.partition(": ")
    return CertificateField(name, tlv.start, tlv.end, f"{UNREADABLE_FIELD} ({why.rstrip('.')})")


def _parts_of(
    certificate: bytes, whole: str, tlv: Tlv, parts: tuple[tuple[str, Callable[[bytes, Tlv], str]], ...]
) -> Iterator[CertificateField]:
    try:
        items = children(certificate, expect(tlv, der.SEQUENCE, f"the {whole}"))
        if len(items) != len(parts):
            raise der.broken(tlv.start, f"the {whole} must have {len(parts)} parts, not {len(items)}")
    except CertificateError as error:
        yield _unreadable(whole, tlv, error)
        return
    for (name, text), item in zip(parts, items, strict=True):
        yield _field(certificate, name, item, text)


def _name(certificate: bytes, role: str, name: Tlv) -> Iterator[CertificateField]:
    try:
        attributes = list(name_attributes(certificate, name))
    except CertificateError as error:
        yield _unreadable(role, name, error)
        return
    for kind, value in attributes:
        yield CertificateField(f"{role} {kind}", value.start, value.end, string_text(certificate, value))


def _optional_part(certificate: bytes, part: Tlv) -> Iterator[CertificateField]:
    if part.tag != _EXTENSIONS:
        name = _OPTIONAL.get(part.tag, f"field with tag {part.tag:02X}")
        yield CertificateField(name, part.start, part.end, hex_text(certificate[part.content : part.end]))
        return
    try:
        whole = expect(read_tlv(certificate, part.content, part.end), der.SEQUENCE, "the extensions")
        extensions = children(certificate, whole)
        if whole.end != part.end:
            raise der.broken(whole.end, "something follows the extensions")
    except CertificateError as error:
        yield _unreadable("extensions", part, error)
        return
    for extension in extensions:
        yield _extension(certificate, extension)


def _extension(certificate: bytes, extension: Tlv) -> CertificateField:
    try:
        items = children(certificate, expect(extension, der.SEQUENCE, "an extension"))
        if not 2 <= len(items) <= 3:
            raise der.broken(extension.start, "an extension must have an id and a value")
        name = object_id(certificate, items[0])
    except CertificateError as error:
        return _unreadable(EXTENSION, extension, error)
    text = extension_text(certificate, name, items[-1])
    if len(items) == 3:
        text += _criticality(certificate[items[1].start : items[1].end])
    return CertificateField(f"{EXTENSION} {name}", extension.start, extension.end, text)


def _criticality(boolean: bytes) -> str:
    return " (critical)" if boolean == b"\x01\x01\xff" else f" (critical written as {hex_text(boolean)})"


def _outer_parts(certificate: bytes, outer: list[Tlv]) -> Iterator[CertificateField]:
    names = ("outer signature algorithm", SIGNATURE)
    texts = (algorithm_text, _signature_text)
    for name, text, part in zip(names, texts, outer, strict=False):
        yield _field(certificate, name, part, text)
    for part in outer[2:]:
        content = hex_text(certificate[part.start : part.end])
        yield CertificateField("part behind the signature", part.start, part.end, content)


def _signature_text(certificate: bytes, signature: Tlv) -> str:
    expect(signature, der.BIT_STRING, "the signature")
    return hex_text(certificate[signature.content + 1 : signature.end])
