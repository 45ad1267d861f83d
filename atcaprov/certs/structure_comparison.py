"""Compare the structure of two certificates, in words: everything that a template fixes.

That is the version, the algorithms, the kinds and lengths of the names' parts, the forms of the dates, and the
extensions with their order (RFC 5280, 4.1 and 4.2). Values that differ from unit to unit are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final, NamedTuple

from atcaprov.certs import der
from atcaprov.certs.der import Tlv, children, expect, read_tlv

_NAMES: Final = MappingProxyType(
    {
        "1.2.840.10045.2.1": "id-ecPublicKey",
        "1.2.840.10045.3.1.7": "P-256",
        "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
        "1.2.840.113549.1.1.1": "rsaEncryption",
        "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
        "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
        "1.3.6.1.5.5.7.3.1": "serverAuth",
        "1.3.6.1.5.5.7.3.2": "clientAuth",
        "1.3.132.0.34": "P-384",
        "2.5.4.3": "CN",
        "2.5.4.5": "serialNumber",
        "2.5.4.6": "C",
        "2.5.4.7": "L",
        "2.5.4.8": "ST",
        "2.5.4.10": "O",
        "2.5.4.11": "OU",
        "2.5.29.14": "subjectKeyIdentifier",
        "2.5.29.15": "keyUsage",
        "2.5.29.17": "subjectAltName",
        "2.5.29.19": "basicConstraints",
        "2.5.29.31": "cRLDistributionPoints",
        "2.5.29.32": "certificatePolicies",
        "2.5.29.35": "authorityKeyIdentifier",
        "2.5.29.37": "extKeyUsage",
    }
)
_STRINGS: Final = MappingProxyType({0x0C: "UTF8String", 0x13: "PrintableString", 0x16: "IA5String", 0x14: "T61String"})
_DATES: Final = MappingProxyType({der.UTC_TIME: "UTCTime", der.GENERALIZED_TIME: "GeneralizedTime"})
_KEY_IDS: Final = frozenset({"subjectKeyIdentifier", "authorityKeyIdentifier"})
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_NOTHING: Final = "none"
_LONGEST_VALUE: Final = 80


class _Extension(NamedTuple):
    name: str
    critical: bool
    value: str

    def __str__(self) -> str:
        return f"{'critical ' if self.critical else ''}{self.value}"


class _Structure(NamedTuple):
    fields: dict[str, str]
    extensions: list[_Extension]


def explain_structure(expected: bytes, found: bytes) -> list[str]:
    """Return one phrase for each difference in structure between `found` (DER) and `expected`, a template or DER.

    An empty list: they have the same structure, so only values can differ. Raises CertificateError when one of them is
    not a certificate.
    """
    wanted, got = _structure(expected), _structure(found)
    differences = [
        f"{name}: expected {wanted.fields.get(name, _NOTHING)}, found {got.fields.get(name, _NOTHING)}"
        for name in wanted.fields | got.fields
        if got.fields.get(name) != wanted.fields.get(name)
    ]
    return differences + list(_extension_differences(wanted.extensions, got.extensions))


def _extension_differences(expected: list[_Extension], found: list[_Extension]) -> Iterator[str]:
    wanted = {extension.name: extension for extension in expected}
    got = {extension.name: extension for extension in found}
    for name in wanted | got:
        first, second = wanted.get(name), got.get(name)
        if first != second:
            yield f"extension {name}: expected {first or _NOTHING}, found {second or _NOTHING}"
    before = [extension.name for extension in expected if extension.name in got]
    after = [extension.name for extension in found if extension.name in wanted]
    if before != after:
        yield f"order of the extensions: expected {', '.join(before)}; found {', '.join(after)}"


def _structure(certificate: bytes) -> _Structure:
    whole = expect(read_tlv(certificate, 0, len(certificate)), der.SEQUENCE, "a certificate")
    tbs = expect(children(certificate, whole)[0], der.SEQUENCE, "the signed part")
    parts = children(certificate, tbs)
    version = parts.pop(0) if parts and parts[0].tag == _VERSION else None
    if len(parts) < 6:
        raise der.broken(tbs.start, "the signed part has too few fields")
    serial, algorithm, issuer, validity, subject, key, *optional = parts
    dates = children(certificate, expect(validity, der.SEQUENCE, "the validity"))
    fields = {
        "version": f"X.509 v{_version(certificate, version)}",
        "length of the serial number": f"{serial.end - serial.content} bytes",
        "signature algorithm": _algorithm(certificate, algorithm),
        "issuer": _name(certificate, issuer),
        "forms of the dates": " and ".join(_DATES.get(date.tag, f"tag {date.tag:02X}") for date in dates),
        "subject": _name(certificate, subject),
        "key": _algorithm(certificate, read_tlv(certificate, key.content, key.end)),
    }
    extensions: list[_Extension] = []
    for part in optional:
        if part.tag == _EXTENSIONS:
            extensions = list(_read_extensions(certificate, part))
        else:
            fields[f"field with tag {part.tag:02X}"] = "present"
    return _Structure(fields, extensions)


def _version(certificate: bytes, version: Tlv | None) -> int:
    return 1 if version is None else 1 + certificate[version.end - 1]


def _algorithm(certificate: bytes, algorithm: Tlv) -> str:
    parts = children(certificate, expect(algorithm, der.SEQUENCE, "an algorithm"))
    return " ".join(_object_id(certificate, part) for part in parts if part.tag == der.OBJECT_ID)


def _name(certificate: bytes, name: Tlv) -> str:
    texts = []
    for part in children(certificate, expect(name, der.SEQUENCE, "a name")):
        for attribute in children(certificate, expect(part, der.SET, "a part of a name")):
            kind, value = _pair(certificate, attribute)
            form = _STRINGS.get(value.tag, f"tag {value.tag:02X}")
            texts.append(f"{_object_id(certificate, kind)} ({form} of {value.end - value.content} bytes)")
    return ", ".join(texts) or "empty"


def _read_extensions(certificate: bytes, part: Tlv) -> Iterator[_Extension]:
    for extension in children(certificate, read_tlv(certificate, part.content, part.end)):
        items = children(certificate, expect(extension, der.SEQUENCE, "an extension"))
        if len(items) < 2:
            raise der.broken(extension.start, "an extension has no value")
        name = _object_id(certificate, items[0])
        yield _Extension(name, len(items) > 2, _extension_value(certificate, name, items[-1]))


def _extension_value(certificate: bytes, name: str, value: Tlv) -> str:
    if name in _KEY_IDS:
        return f"{value.end - value.content} bytes"
    if name == "subjectAltName":
        names = children(certificate, read_tlv(certificate, value.content, value.end))
        return ", ".join(f"tag {each.tag:02X} of {each.end - each.content} bytes" for each in names)
    if name == "extKeyUsage":
        usages = children(certificate, read_tlv(certificate, value.content, value.end))
        return ", ".join(_object_id(certificate, usage) for usage in usages)
    text = certificate[value.content : value.end].hex()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}... ({value.end - value.content} bytes)"


def _pair(certificate: bytes, attribute: Tlv) -> tuple[Tlv, Tlv]:
    pair = children(certificate, expect(attribute, der.SEQUENCE, "an attribute of a name"))
    if len(pair) != 2:
        raise der.broken(attribute.start, "an attribute of a name has no value")
    return pair[0], pair[1]


def _object_id(certificate: bytes, tlv: Tlv) -> str:
    """Return the name of an object id, or its numbers (X.690, 8.19)."""
    content = certificate[expect(tlv, der.OBJECT_ID, "an object id").content : tlv.end]
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    if not numbers:
        raise der.broken(tlv.start, "an object id is empty")
    root = min(numbers[0] // 40, 2)
    text = ".".join(map(str, (root, numbers[0] - 40 * root, *numbers[1:])))
    return _NAMES.get(text, text)
