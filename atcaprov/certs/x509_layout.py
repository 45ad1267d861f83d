"""Find the fields of an X.509 certificate of the supported family.

The family: version 3, ecdsa-with-SHA256, a P-256 key, no unique ids (RFC 5280, RFC 5480). Values are not checked here,
so a template with zeros in its variable elements has a layout, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.certs import der
from atcaprov.certs.der import Tlv, children, expect, read_tlv
from atcaprov.errors import CertificateError

ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
P256_KEY_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
VERSION_3: Final = bytes.fromhex("a003020102")
_SUBJECT_KEY_ID: Final = bytes.fromhex("0603551d0e")
_AUTHORITY_KEY_ID: Final = bytes.fromhex("0603551d23")
_COMMON_NAME: Final = bytes.fromhex("0603550403")
_KEY_ID_SIZE: Final = 20
_RULE: Final = "the signature algorithm must be ecdsa-with-SHA256"
_CONSTRUCTED: Final = 0x20
_EXTENSIONS: Final = 0xA3
_KEY_ID_IN_AUTHORITY: Final = 0x80


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `end` (exclusive) of a certificate."""

    start: int
    end: int

    def of(self, certificate: bytes) -> bytes:
        """Return these bytes of the certificate."""
        return certificate[self.start : self.end]

    def holds(self, start: int, end: int) -> bool:
        """Tell whether `start` to `end` lies inside."""
        return self.start <= start and end <= self.end


@dataclass(frozen=True, slots=True)
class ExtensionValue:
    """One extension: its object id, with tag and length, and the OCTET STRING of its value."""

    object_id: Span
    value: Tlv


@dataclass(frozen=True, slots=True)
class CertificateLayout:
    """Spans of the values (without tag and length), except `tbs` and `signature`, which begin with their tag."""

    tbs: Span
    serial_number: Span
    issuer: Span
    issuer_common_name: Span | None
    issue_date: Span
    issue_date_tag: int
    expire_date: Span
    expire_date_tag: int
    subject: Span
    subject_common_name: Span | None
    public_key: Span
    """X||Y, 64 bytes."""
    extensions: Span | None
    subject_key_id: Span | None
    authority_key_id: Span | None
    signature: Span
    """From the tag of the BIT STRING to the end of the certificate."""


def certificate_layout(certificate: bytes) -> CertificateLayout:
    """Find the fields; raises CertificateError when the bytes are not a certificate of the family."""
    return _layout(certificate, any_signature=False)


def authority_layout(certificate: bytes) -> CertificateLayout:
    """Find the fields of a CA certificate, whose signature may be RSA or on another curve."""
    return _layout(certificate, any_signature=True)


def _layout(certificate: bytes, *, any_signature: bool) -> CertificateLayout:
    whole = expect(read_tlv(certificate, 0, len(certificate)), der.SEQUENCE, "a certificate")
    if whole.end != len(certificate):
        raise CertificateError(f"{len(certificate) - whole.end} bytes follow the end of the certificate.")
    parts = children(certificate, whole)
    if len(parts) != 3:
        raise CertificateError("The bytes are not a certificate: it must have three parts.")
    tbs, algorithm, signature = parts
    algorithm_bytes = certificate[algorithm.start : algorithm.end] if any_signature else ECDSA_WITH_SHA256
    _expect_bytes(certificate, algorithm, algorithm_bytes, _RULE)
    expect(signature, der.BIT_STRING, "the signature")
    return _tbs_layout(certificate, expect(tbs, der.SEQUENCE, "the signed part"), signature, algorithm_bytes)


def changeable_values(certificate: bytes, span: Span) -> list[Span]:
    """Return the values inside a span of elements that can change without harm to the DER around them.

    These are primitive values, at any depth, except object ids and booleans.
    """
    found = []
    offset = span.start
    while offset < span.end:
        tlv = read_tlv(certificate, offset, span.end)
        if tlv.tag & _CONSTRUCTED:
            found += changeable_values(certificate, _value(tlv))
        elif tlv.tag not in (der.OBJECT_ID, der.BOOLEAN):
            found.append(_value(tlv))
        offset = tlv.end
    return found


def _tbs_layout(certificate: bytes, tbs: Tlv, signature: Tlv, algorithm_bytes: bytes) -> CertificateLayout:
    fields = children(certificate, tbs)
    if not 7 <= len(fields) <= 8:
        raise CertificateError("The signed part must have version, serial number, ..., key and extensions only.")
    version, serial, algorithm, issuer, validity, subject, key = fields[:7]
    _expect_bytes(certificate, version, VERSION_3, "the certificate must be of version 3")
    rule = _RULE if algorithm_bytes == ECDSA_WITH_SHA256 else "its two signature algorithms must be the same"
    _expect_bytes(certificate, algorithm, algorithm_bytes, rule)
    expect(serial, der.INTEGER, "the serial number")
    begin, end = _validity(certificate, validity)
    prefix_end = key.start + len(P256_KEY_PREFIX)
    if certificate[key.start : prefix_end] != P256_KEY_PREFIX or key.end - prefix_end != 64:
        raise CertificateError("The key of the certificate is not an uncompressed P-256 key.")
    extensions = expect(fields[7], _EXTENSIONS, "the extensions") if len(fields) == 8 else None
    key_ids = _key_ids(certificate, extensions) if extensions is not None else {}
    return CertificateLayout(
        tbs=Span(tbs.start, tbs.end),
        serial_number=_value(serial),
        issuer=_value(expect(issuer, der.SEQUENCE, "the issuer")),
        issuer_common_name=_common_name(certificate, issuer),
        issue_date=_value(begin),
        issue_date_tag=begin.tag,
        expire_date=_value(end),
        expire_date_tag=end.tag,
        subject=_value(expect(subject, der.SEQUENCE, "the subject")),
        subject_common_name=_common_name(certificate, subject),
        public_key=Span(prefix_end, key.end),
        extensions=_value(extensions) if extensions is not None else None,
        subject_key_id=key_ids.get(_SUBJECT_KEY_ID),
        authority_key_id=key_ids.get(_AUTHORITY_KEY_ID),
        signature=Span(signature.start, signature.end),
    )


def _validity(certificate: bytes, validity: Tlv) -> tuple[Tlv, Tlv]:
    dates = children(certificate, expect(validity, der.SEQUENCE, "the validity"))
    if len(dates) != 2 or any(date.tag not in (der.UTC_TIME, der.GENERALIZED_TIME) for date in dates):
        raise CertificateError("The validity of the certificate must be two dates.")
    return dates[0], dates[1]


def _common_name(certificate: bytes, name: Tlv) -> Span | None:
    for part in children(certificate, name):
        for attribute in children(certificate, expect(part, der.SET, "a part of a name")):
            pair = children(certificate, expect(attribute, der.SEQUENCE, "an attribute of a name"))
            if len(pair) == 2 and certificate[pair[0].start : pair[0].end] == _COMMON_NAME:
                return _value(pair[1])
    return None


def extension_values(certificate: bytes, extensions: Span) -> list[ExtensionValue]:
    """Return the extensions of a certificate; `extensions` is the span of its layout."""
    lists = children(certificate, Tlv(_EXTENSIONS, extensions.start, extensions.start, extensions.end))
    if len(lists) != 1:
        raise CertificateError("The extensions of the certificate must be one sequence.")
    found = []
    for extension in children(certificate, expect(lists[0], der.SEQUENCE, "the extensions")):
        parts = children(certificate, expect(extension, der.SEQUENCE, "an extension"))
        if not 2 <= len(parts) <= 3:
            raise CertificateError("An extension of the certificate must have an id and a value.")
        found.append(ExtensionValue(Span(parts[0].start, parts[0].end), parts[-1]))
    return found


def _key_ids(certificate: bytes, extensions: Tlv) -> dict[bytes, Span]:
    found = {}
    for extension in extension_values(certificate, _value(extensions)):
        object_id = extension.object_id.of(certificate)
        if object_id in (_SUBJECT_KEY_ID, _AUTHORITY_KEY_ID):
            key_id = _key_id(certificate, object_id, extension.value)
            if key_id is not None:
                found[object_id] = key_id
    return found


def _key_id(certificate: bytes, object_id: bytes, value: Tlv) -> Span | None:
    expect(value, der.OCTET_STRING, "the value of an extension")
    inner = read_tlv(certificate, value.content, value.end)
    if object_id == _SUBJECT_KEY_ID:
        expect(inner, der.OCTET_STRING, "the subject key id")
    else:
        candidates = children(certificate, expect(inner, der.SEQUENCE, "the authority key id"))
        inner = next((part for part in candidates if part.tag == _KEY_ID_IN_AUTHORITY), inner)
    span = _value(inner)
    return span if inner.tag != der.SEQUENCE and span.end - span.start == _KEY_ID_SIZE else None


def _value(tlv: Tlv) -> Span:
    return Span(tlv.content, tlv.end)


def _expect_bytes(certificate: bytes, tlv: Tlv, value: bytes, rule: str) -> None:
    if certificate[tlv.start : tlv.end] != value:
        raise CertificateError(f"The certificate is of another kind: {rule}.")
