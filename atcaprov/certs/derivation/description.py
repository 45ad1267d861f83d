"""Write the TOML description of a certificate, if one makes exactly this certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.der import children, read_tlv
from atcaprov.certs.derivation.request import DerivedDefinition
from atcaprov.certs.descriptions import subject
from atcaprov.certs.descriptions.description import CertificateDescription, Slots, description_document
from atcaprov.certs.descriptions.extensions import KEY_USAGES
from atcaprov.certs.descriptions.subject import ATTRIBUTES
from atcaprov.certs.descriptions.subject_alt_name import HARDWARE_MODULE_NAME
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.expected_certificate import expected_certificate
from atcaprov.certs.field_comparison import explain_differences, listed
from atcaprov.certs.field_text import object_id
from atcaprov.certs.keys import PUBLIC_KEY_SIZE
from atcaprov.certs.serial_number import FIXED_SIZES
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import AtcaProvError

_KEYS: Final = {object_id: key for key, (object_id, _) in ATTRIBUTES.items()}
_NAMES: Final = {
    ExtendedKeyUsageOID.CLIENT_AUTH: "client_auth",
    ExtendedKeyUsageOID.SERVER_AUTH: "server_auth",
}


class _InexpressibleError(Exception):
    """A part of a certificate that no description has; the text names it."""


@dataclass(frozen=True)
class DerivedDescription:
    """A description that makes a certificate, or why there is none (a sentence without its full stop)."""

    description: CertificateDescription | None
    why_not: str = ""


def describe(
    certificate: bytes,
    derived: DerivedDefinition,
    slots: Slots,
    issuer_public_key: bytes | None,
    signer: CertificateDescription | None = None,
) -> DerivedDescription:
    """Return the description of a certificate (DER) whose definition was derived.

    A device's needs the description of its signer. It is proved: its own definition must give the certificate.
    """
    if derived.definition.comp_cert_dev_loc.offset or derived.definition.public_key_dev_loc.offset:
        return DerivedDescription(None, "a description has no places inside slots")
    try:
        document = _document(certificate, derived, slots)
        found = CertificateDescription.from_document(document)
        own = _definition(found, certificate, signer)
        expected = expected_certificate(
            own,
            certificate,
            ca_public_key=issuer_public_key or bytes(PUBLIC_KEY_SIZE),
            chip_serial=derived.chip_serial,
        )
    except AtcaProvError as error:
        return DerivedDescription(None, error.what.rstrip("."))
    except _InexpressibleError as error:
        return DerivedDescription(None, f"a description cannot hold {error}")
    except UNREADABLE:
        return DerivedDescription(None, "its names or extensions are not what X.509 allows")
    differences = explain_differences(own, expected.certificate, certificate)
    if issuer_public_key is None:
        differences = [each for each in differences if "authorityKeyIdentifier" not in each.field]
    return DerivedDescription(None, listed(differences)) if differences else DerivedDescription(found)


def _definition(
    found: CertificateDescription, certificate: bytes, signer: CertificateDescription | None
) -> CertificateDefinition:
    parsed = x509.load_der_x509_certificate(certificate)
    if found.role == "signer":
        return signer_definition(found, root_name=parsed.issuer, at=parsed.not_valid_before_utc)
    if signer is None:
        raise _InexpressibleError("a device without the description of its signer")
    return device_definition(found, signer=signer, at=parsed.not_valid_before_utc)


def _document(certificate: bytes, derived: DerivedDefinition, slots: Slots) -> dict[str, Any]:
    parsed, definition = x509.load_der_x509_certificate(certificate), derived.definition
    document: dict[str, Any] = {
        "role": definition.role,
        "name": definition.name,
        "template_id": definition.template_id,
        "chain_id": definition.chain_id,
        "serial_number": definition.sn_source.name,
        "subject": dict(_attributes(parsed.subject, derived)),
        "validity": {"expire_years": definition.expire_years, "compressed_format": definition.format_version},
        "extensions": _extensions(parsed.extensions),
        "slots": {name: getattr(slots, name) for name in slots.__slots__ if getattr(slots, name) is not None},
    }
    if definition.sn_source not in FIXED_SIZES:
        span = certificate_layout(certificate).serial_number
        document["serial_number_size"] = span.end - span.start
    names = _alternative_names(parsed.extensions, derived)
    return {**document, "subject_alt_name": names} if names else document


def _attributes(name: x509.Name, derived: DerivedDefinition) -> Iterator[tuple[str, str]]:
    """Yield keys and texts with placeholders; raises _InexpressibleError for an attribute without a key."""
    is_signer = derived.definition.role == "signer"
    for attribute in name:
        if attribute.oid not in _KEYS:
            raise _InexpressibleError(f"the attribute {attribute.oid.dotted_string}")
        text = str(attribute.value)
        if is_signer and attribute.oid == NameOID.COMMON_NAME:
            text = text[:-4] + f"{{{subject.SIGNER_ID}}}"
        yield _KEYS[attribute.oid], text if is_signer else _with_placeholders(text, derived.chip_serial)


def _with_placeholders(text: str, chip_serial: bytes | None) -> str:
    if chip_serial is None:
        return text
    values = subject.values_of_chip_serial(chip_serial.hex())
    for placeholder, digits in values.items():
        text = text.replace(digits, f"{{{placeholder}}}")
    return text


def _extensions(extensions: x509.Extensions) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.path_length is not None:
            table["path_length"] = value.path_length
        if isinstance(value, x509.KeyUsage):
            table["key_usage"] = [usage for usage in KEY_USAGES if _has(value, usage)]
        if isinstance(value, x509.ExtendedKeyUsage):
            table["extended_key_usage"] = [_NAMES.get(usage, usage.dotted_string) for usage in value]
        if isinstance(value, x509.CRLDistributionPoints):
            table["crl_distribution_points"] = _distribution_uris(value)
    return table


def _distribution_uris(points: x509.CRLDistributionPoints) -> list[str]:
    if len(points) != 1 or points[0].reasons is not None or points[0].crl_issuer is not None:
        raise _InexpressibleError("other CRL distribution points than one that has the list of its own issuer")
    names = points[0].full_name or []
    if not names or not all(isinstance(name, x509.UniformResourceIdentifier) for name in names):
        raise _InexpressibleError("a CRL distribution point that is not a URI")
    return [str(name.value) for name in names]


def _has(value: x509.KeyUsage, usage: str) -> bool:
    if usage in ("encipher_only", "decipher_only") and not value.key_agreement:
        return False  # `cryptography` refuses to tell
    return bool(getattr(value, usage))


def _alternative_names(extensions: x509.Extensions, derived: DerivedDefinition) -> dict[str, Any]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {}
    return dict(_alternative_name(name, derived) for name in names)


def _alternative_name(name: x509.GeneralName, derived: DerivedDefinition) -> tuple[str, Any]:
    match name:
        case x509.UniformResourceIdentifier():
            return "uri", _with_placeholders(name.value, derived.chip_serial)
        case x509.DNSName():
            return "dns_name", _with_placeholders(name.value, derived.chip_serial)
        case x509.DirectoryName():
            return "directory_name", dict(_attributes(name.value, derived))
        case x509.OtherName() if name.type_id == HARDWARE_MODULE_NAME:
            return "hardware_module_type", _hardware_type(name.value)
    raise _InexpressibleError(f"a {type(name).__name__} as alternative name")


def _hardware_type(value: bytes) -> str:
    """Return the object id in a HardwareModuleName (DER)."""
    return object_id(value, children(value, read_tlv(value, 0, len(value)))[0])


def description_toml(description: CertificateDescription) -> str:
    """Return the TOML text from which the same description is read."""
    document = description_document(description)
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for key, table in document.items():
        if isinstance(table, dict):
            lines += ["", f"[{key}]", *(f"{name} = {_value(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """Return a value in TOML, whose strings have the escapes of JSON's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_value(each)}" for name, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
