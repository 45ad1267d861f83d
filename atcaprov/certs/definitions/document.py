"""Certificate definitions as maps of plain values, for JSON and CBOR."""

from __future__ import annotations

from typing import Any, Final

from atcaprov.certs.dates import DateFormat
from atcaprov.certs.definitions.fields import (
    CertElement,
    CertificateType,
    CertLocation,
    DefinitionFields,
    DeviceLocation,
    DeviceZone,
    StdElement,
    Transform,
)
from atcaprov.certs.document_reader import Document
from atcaprov.certs.serial_number import SerialSource
from atcaprov.certs.unit_rule import UnitRule
from atcaprov.errors import CertificateError, Code

FORMAT: Final = "atcaprov-certificate-definition"
VERSION: Final = 1
VERSION_WITH_UNIT: Final = 2
"""Programs that know nothing of units' names refuse it as too new."""
MAX_ELEMENTS: Final = 16
_NAME_LENGTH: Final = 64


def to_document(definition: DefinitionFields) -> dict[str, Any]:
    """Return the map; docs/reference/certificate-definitions.md lists its keys."""
    unit = {} if definition.unit is None else {"unit": definition.unit.document()}
    return {
        "format": FORMAT,
        "version": VERSION if definition.unit is None else VERSION_WITH_UNIT,
        "name": definition.name,
        "role": definition.role,
        "type": definition.type.name,
        "template_id": definition.template_id,
        "chain_id": definition.chain_id,
        "format_version": definition.format_version,
        "private_key_slot": definition.private_key_slot,
        "sn_source": definition.sn_source.name,
        "cert_sn_dev_loc": _device_location(definition.cert_sn_dev_loc),
        "issue_date_format": definition.issue_date_format.name,
        "expire_date_format": definition.expire_date_format.name,
        "tbs_cert_loc": _cert_location(definition.tbs_cert_loc),
        "expire_years": definition.expire_years,
        "public_key_dev_loc": _device_location(definition.public_key_dev_loc),
        "comp_cert_dev_loc": _device_location(definition.comp_cert_dev_loc),
        "std_cert_elements": {
            element.name: _cert_location(definition.std_cert_elements[element]) for element in StdElement
        },
        "cert_elements": [_element(element) for element in definition.cert_elements],
        "std_sig_size": definition.std_sig_size,
        "ca_cert_def": definition.ca_cert_def,
        "cert_template": definition.cert_template,
        **unit,
    }


def _cert_location(location: CertLocation) -> dict[str, int]:
    return {"offset": location.offset, "count": location.count}


def _device_location(location: DeviceLocation) -> dict[str, Any]:
    return {
        "zone": location.zone.name,
        "slot": location.slot,
        "is_genkey": location.is_genkey,
        "offset": location.offset,
        "count": location.count,
    }


def _element(element: CertElement) -> dict[str, Any]:
    return {
        "id": element.id,
        "device_loc": _device_location(element.device_loc),
        "cert_loc": _cert_location(element.cert_loc),
        "transforms": [transform.name for transform in element.transforms],
    }


def fields(value: object) -> dict[str, Any]:
    """Return the constructor arguments that a map holds; raises CertificateError (definition-invalid)."""
    document = Document(value)
    has_unit = _version(document) == VERSION_WITH_UNIT
    elements = document.inner("std_cert_elements")
    found = {
        "name": document.text("name", _NAME_LENGTH),
        "role": document.text("role", 6),
        "type": document.choice("type", CertificateType),
        "template_id": document.integer("template_id", 0, 15),
        "chain_id": document.integer("chain_id", 0, 15),
        "format_version": document.integer("format_version", 0, 1),
        "private_key_slot": document.integer("private_key_slot", 0, 15),
        "sn_source": document.choice("sn_source", SerialSource),
        "cert_sn_dev_loc": _read_device_location(document.inner("cert_sn_dev_loc")),
        "issue_date_format": document.choice("issue_date_format", DateFormat),
        "expire_date_format": document.choice("expire_date_format", DateFormat),
        "tbs_cert_loc": _read_cert_location(document.inner("tbs_cert_loc")),
        "expire_years": document.integer("expire_years", 0, 127),
        "public_key_dev_loc": _read_device_location(document.inner("public_key_dev_loc")),
        "comp_cert_dev_loc": _read_device_location(document.inner("comp_cert_dev_loc")),
        "std_cert_elements": tuple(_read_cert_location(elements.inner(element.name)) for element in StdElement),
        "cert_elements": _read_elements(document),
        "std_sig_size": document.integer("std_sig_size", 0, 64),
        "ca_cert_def": document.text("ca_cert_def", _NAME_LENGTH),
        "cert_template": document.octets("cert_template"),
        "unit": UnitRule.read(document.inner("unit")) if has_unit else None,
    }
    elements.finish()
    document.finish()
    return found


def _version(document: Document) -> int:
    known = (VERSION, VERSION_WITH_UNIT)
    version = document.integer("version", 0, 0xFFFF) if document.get("format") == FORMAT else 0
    if version not in known:
        raise CertificateError(
            f"The certificate definition is not of format {FORMAT}, version {' or '.join(map(str, known))}.",
            advice="A newer program may have written it.",
            code=Code.DEFINITION_INVALID,
        )
    return version


def _read_cert_location(document: Document) -> CertLocation:
    location = CertLocation(document.integer("offset", 0, 0xFFFF), document.integer("count", 0, 0xFFFF))
    document.finish()
    return location


def _read_device_location(document: Document) -> DeviceLocation:
    location = DeviceLocation(
        zone=document.choice("zone", DeviceZone),
        slot=document.integer("slot", 0, 15),
        is_genkey=document.flag("is_genkey"),
        offset=document.integer("offset", 0, 415),
        count=document.integer("count", 0, 416),
    )
    document.finish()
    return location


def _read_elements(document: Document) -> tuple[CertElement, ...]:
    items = document.items("cert_elements", MAX_ELEMENTS)
    return tuple(
        _read_element(Document(item, f"{document.at('cert_elements')}[{number}]")) for number, item in enumerate(items)
    )


def _read_element(document: Document) -> CertElement:
    transforms = document.items("transforms", 2)
    names = [*transforms, "NONE", "NONE"][:2]
    first, second = (document.member(Transform, name, document.at("transforms")) for name in names)
    element = CertElement(
        id=document.text("id", 24),
        device_loc=_read_device_location(document.inner("device_loc")),
        cert_loc=_read_cert_location(document.inner("cert_loc")),
        transforms=(first, second),
    )
    document.finish()
    return element
