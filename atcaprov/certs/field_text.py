"""The values of a certificate's fields as a person reads them: names, dates, algorithms, extensions.

Names and forms are those that OpenSSL prints. Sources: RFC 5280, 4.1 and 4.2; RFC 3279; RFC 5480.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Final

from atcaprov.certs import dates, der
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.der import Tlv, children, expect, read_tlv
from atcaprov.certs.keys import PUBLIC_KEY_SIZE, key_id
from atcaprov.errors import CertificateError
from atcaprov.terminal.printable import printable

SUBJECT_KEY_ID: Final = "subjectKeyIdentifier"
AUTHORITY_KEY_ID: Final = "authorityKeyIdentifier"
_NAMES: Final = MappingProxyType(
    {
        "0.9.2342.19200300.100.1.25": "DC",
        "1.2.840.10040.4.3": "dsa-with-SHA1",
        "1.2.840.10045.2.1": "id-ecPublicKey",
        "1.2.840.10045.3.1.7": "P-256",
        "1.2.840.10045.4.1": "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
        "1.2.840.113549.1.1.1": "rsaEncryption",
        "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
        "1.2.840.113549.1.9.1": "emailAddress",
        "1.3.101.112": "Ed25519",
        "1.3.132.0.10": "secp256k1",
        "1.3.132.0.34": "P-384",
        "1.3.132.0.35": "P-521",
        "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
        "1.3.6.1.5.5.7.3.1": "serverAuth",
        "1.3.6.1.5.5.7.3.2": "clientAuth",
        "1.3.6.1.5.5.7.3.3": "codeSigning",
        "1.3.6.1.5.5.7.8.4": "hardwareModuleName",
        "2.5.4.3": "CN",
        "2.5.4.5": "serialNumber",
        "2.5.4.6": "C",
        "2.5.4.7": "L",
        "2.5.4.8": "ST",
        "2.5.4.10": "O",
        "2.5.4.11": "OU",
        "2.5.29.14": SUBJECT_KEY_ID,
        "2.5.29.15": "keyUsage",
        "2.5.29.17": "subjectAltName",
        "2.5.29.18": "issuerAltName",
        "2.5.29.19": "basicConstraints",
        "2.5.29.31": "cRLDistributionPoints",
        "2.5.29.32": "certificatePolicies",
        "2.5.29.35": AUTHORITY_KEY_ID,
        "2.5.29.37": "extKeyUsage",
        "2.5.29.37.0": "anyExtendedKeyUsage",
        "2.16.840.1.113730.1.1": "nsCertType",
        "2.16.840.1.113730.1.13": "nsComment",
    }
)
_STRINGS: Final = MappingProxyType(
    {
        0x0C: ("UTF8String", "utf-8"),
        0x13: ("PrintableString", "ascii"),
        0x14: ("T61String", "latin-1"),
        0x16: ("IA5String", "ascii"),
        0x1E: ("BMPString", "utf-16-be"),
    }
)
_DATE_FORMS: Final = MappingProxyType(
    {
        der.UTC_TIME: ("UTCTime", DateFormat.RFC5280_UTC),
        der.GENERALIZED_TIME: ("GeneralizedTime", DateFormat.RFC5280_GEN),
    }
)
_KEY_USAGES: Final = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
_OTHER_NAME, _DIRECTORY_NAME, _IP_ADDRESS, _REGISTERED_ID = 0xA0, 0xA4, 0x87, 0x88
_TEXT_NAMES: Final = MappingProxyType({0x81: "email", 0x82: "DNS", 0x86: "URI"})
_AUTHORITY_PARTS: Final = MappingProxyType({0x80: "key id", 0xA1: "issuer", 0x82: "serial number"})
_UNCOMPRESSED: Final = 0x04
_LONGEST: Final = 40
_SHOWN_START: Final = 8


def object_id(data: bytes, tlv: Tlv) -> str:
    """Return the name of an object id, or its numbers (X.690, 8.19); raises CertificateError."""
    content = data[expect(tlv, der.OBJECT_ID, "an object id").content : tlv.end]
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    if not numbers or content[-1] & 0x80:
        raise der.broken(tlv.start, "an object id is empty or cut off")
    root = min(numbers[0] // 40, 2)
    text = ".".join(map(str, (root, numbers[0] - 40 * root, *numbers[1:])))
    return _NAMES.get(text, text)


def algorithm_text(data: bytes, algorithm: Tlv) -> str:
    """Return an algorithm with its parameters: `id-ecPublicKey P-256`; raises CertificateError."""
    parts = children(data, expect(algorithm, der.SEQUENCE, "an algorithm"))
    return " ".join(
        object_id(data, part)
        if part.tag == der.OBJECT_ID
        else f"with parameter {hex_text(data[part.start : part.end])}"
        for part in parts
    )


def serial_text(data: bytes, serial: Tlv) -> str:
    """Return a serial number and its length; raises CertificateError."""
    expect(serial, der.INTEGER, "the serial number")
    content = data[serial.content : serial.end]
    return f"{content.hex().upper()} ({len(content)} byte{'s' if len(content) != 1 else ''})"


def date_text(data: bytes, date: Tlv) -> str:
    """Return a date and its form: `2026-06-01 08:00:00 UTC (UTCTime)`."""
    content = data[date.content : date.end]
    name, date_format = _DATE_FORMS.get(date.tag, (f"tag {date.tag:02X}", DateFormat.RFC5280_UTC))
    try:
        return f"{dates.parse_date(content, date_format):%Y-%m-%d %H:%M:%S} UTC ({name})"
    except CertificateError:
        return f"'{printable(content.decode('latin-1'))}', which is not a date ({name})"


def string_text(data: bytes, value: Tlv) -> str:
    """Return a value of a name and its string type: `'Example' (UTF8String)`."""
    content = data[value.content : value.end]
    name, encoding = _STRINGS.get(value.tag, (f"tag {value.tag:02X}", "latin-1"))
    try:
        return f"'{printable(content.decode(encoding))}' ({name})"
    except UnicodeDecodeError:
        return f"{hex_text(content)}, which is not text ({name})"


def public_key_text(data: bytes, bits: Tlv) -> str:
    """Return what identifies the key in a BIT STRING: an uncompressed point by its key id (SHA-1)."""
    content = data[bits.content : bits.end]
    if bits.tag == der.BIT_STRING and content[:2] == bytes((0, _UNCOMPRESSED)) and len(content) == 2 + PUBLIC_KEY_SIZE:
        return f"the point with key id {key_id(content[2:]).hex().upper()}"
    return f"{hex_text(content[1:])} with tag {bits.tag:02X}"


def hex_text(content: bytes) -> str:
    """Return bytes in hexadecimal; of many only the first."""
    if len(content) <= _LONGEST:
        return content.hex().upper() or "nothing"
    return f"{content[:_SHOWN_START].hex().upper()}... ({len(content)} bytes)"


def extension_text(data: bytes, name: str, value: Tlv) -> str:
    """Return the value of an extension, an OCTET STRING; what cannot be read is shown in hexadecimal."""
    read = _EXTENSIONS.get(name)
    content = hex_text(data[value.content : value.end])
    if value.tag != der.OCTET_STRING:
        return f"{content} with tag {value.tag:02X}"
    if read is None:
        return content
    try:
        inner = read_tlv(data, value.content, value.end)
        if inner.end != value.end:
            return content
        return ", ".join(read(data, inner)) or "empty"
    except (CertificateError, UnicodeDecodeError, IndexError, ValueError):
        return content


def _basic_constraints(data: bytes, inner: Tlv) -> Iterator[str]:
    parts = children(data, expect(inner, der.SEQUENCE, "the constraints"))
    is_ca = any(part.tag == der.BOOLEAN and data[part.content] for part in parts)
    yield f"CA:{str(is_ca).upper()}"
    for part in parts:
        if part.tag != der.BOOLEAN:
            yield f"pathlen:{int.from_bytes(data[part.content : part.end], 'big')}"


def _key_usage(data: bytes, inner: Tlv) -> Iterator[str]:
    bits = data[expect(inner, der.BIT_STRING, "the usages").content + 1 : inner.end]
    for number in range(8 * len(bits)):
        if bits[number // 8] & 0x80 >> number % 8:
            yield _KEY_USAGES[number]


def _object_ids(data: bytes, inner: Tlv) -> Iterator[str]:
    return (object_id(data, part) for part in children(data, expect(inner, der.SEQUENCE, "the usages")))


def _subject_key_id(data: bytes, inner: Tlv) -> Iterator[str]:
    expect(inner, der.OCTET_STRING, "the key id")
    yield f"key id {data[inner.content : inner.end].hex().upper()}"


def _authority_key_id(data: bytes, inner: Tlv) -> Iterator[str]:
    for part in children(data, expect(inner, der.SEQUENCE, "the key id")):
        name = _AUTHORITY_PARTS.get(part.tag, f"tag {part.tag:02X}")
        if name == "issuer":
            yield f"issuer {', '.join(_general_names(data, part))}"
        else:
            yield f"{name} {hex_text(data[part.content : part.end])}"


def _alternative_names(data: bytes, inner: Tlv) -> Iterator[str]:
    return _general_names(data, expect(inner, der.SEQUENCE, "the names"))


def _general_names(data: bytes, names: Tlv) -> Iterator[str]:
    for name in children(data, names):
        content = data[name.content : name.end]
        if name.tag in _TEXT_NAMES:
            yield f"{_TEXT_NAMES[name.tag]}:{printable(content.decode('ascii'))}"
        elif name.tag == _IP_ADDRESS:
            yield f"IP:{ipaddress.ip_address(content)}"
        elif name.tag == _REGISTERED_ID:
            yield f"RID:{hex_text(content)}"
        elif name.tag == _DIRECTORY_NAME:
            yield f"DirName:{name_text(data, read_tlv(data, name.content, name.end))}"
        elif name.tag == _OTHER_NAME:
            kind, *values = children(data, name)
            yield f"otherName:{object_id(data, kind)};{hex_text(data[values[0].content : name.end])}"
        else:
            yield f"tag {name.tag:02X}:{hex_text(content)}"


def name_text(data: bytes, name: Tlv) -> str:
    """Return a whole name in one line: `O='Example' (UTF8String), CN=...`; raises CertificateError."""
    return ", ".join(f"{kind}={string_text(data, value)}" for kind, value in name_attributes(data, name))


def name_attributes(data: bytes, name: Tlv) -> Iterator[tuple[str, Tlv]]:
    """Yield the kind (`CN`) and the value of each attribute of a name; raises CertificateError."""
    for part in children(data, expect(name, der.SEQUENCE, "a name")):
        for attribute in children(data, expect(part, der.SET, "a part of a name")):
            pair = children(data, expect(attribute, der.SEQUENCE, "an attribute of a name"))
            if len(pair) != 2:
                raise der.broken(attribute.start, "an attribute of a name must have a kind and a value")
            yield object_id(data, pair[0]), pair[1]


_EXTENSIONS: Final[MappingProxyType[str, Callable[[bytes, Tlv], Iterator[str]]]] = MappingProxyType(
    {
        "basicConstraints": _basic_constraints,
        "keyUsage": _key_usage,
        "extKeyUsage": _object_ids,
        SUBJECT_KEY_ID: _subject_key_id,
        AUTHORITY_KEY_ID: _authority_key_id,
        "subjectAltName": _alternative_names,
        "issuerAltName": _alternative_names,
    }
)
