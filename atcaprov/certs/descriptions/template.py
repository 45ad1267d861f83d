"""Make definitions from descriptions: build an X.509 template, and locate its variable elements in the DER.

The template is a whole certificate with placeholders: the generator of P-256 as its key, fixed dates, and an invalid
signature. The same description always gives the same bytes. Zeros stand for the unit's name; where it is written is
seen by comparing with a template in which ones stand for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from atcaprov.certs import dates
from atcaprov.certs.compressed_form import COMPRESSED_SIZE
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.definitions.checks import SERIAL_LOCATIONS
from atcaprov.certs.definitions.definition import (
    CertElement,
    CertificateDefinition,
    CertLocation,
    DeviceLocation,
    DeviceZone,
    StdElement,
    Transform,
)
from atcaprov.certs.descriptions.description import CertificateDescription, Slots
from atcaprov.certs.descriptions.subject import PLACEHOLDER_SIZES
from atcaprov.certs.descriptions.unit_elements import unit_elements
from atcaprov.certs.keys import PADDED_KEY_SIZE, PUBLIC_KEY_SIZE, der_signature, key_id, raw_public_key
from atcaprov.certs.x509_layout import CertificateLayout, Span, certificate_layout
from atcaprov.errors import Code, UsageError

_SIGNATURE_SIZE: Final = 74
"""Nominal size of SIGNATURE; the placeholder below has it (one leading zero of two possible)."""
_PLACEHOLDER_SIGNATURE: Final = b"\x80" + bytes(30) + b"\x01" + b"\x40" + bytes(30) + b"\x01"
_CHIP_SERIAL_MARK: Final = "5A17C0DE5A17C0DE5A"
_SIGNER_ID_MARK: Final = "0000"
_UNIT_MARK: Final = "0"
_OTHER_UNIT_MARK: Final = "1"
_PLACEHOLDER_DATES: Final = {
    DateFormat.RFC5280_UTC: datetime(2049, 1, 1, tzinfo=UTC),
    DateFormat.RFC5280_GEN: datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
}


def signer_definition(
    description: CertificateDescription, *, root_name: x509.Name, at: datetime
) -> CertificateDefinition:
    """Return the definition of signer certificates that the root named `root_name` issues.

    `at` is when issuing begins: it decides between UTCTime and GeneralizedTime. Raises UsageError (definition-invalid)
    when no certificate could be issued then.
    """
    if description.role != "signer":
        raise _refused(f"the description is for a {description.role}, not for a signer")
    return _definition(description, root_name, at, issuer_definition="")


def device_definition(
    description: CertificateDescription, *, signer: CertificateDescription, at: datetime
) -> CertificateDefinition:
    """Return the definition of device certificates that signers of the description `signer` issue."""
    if description.role != "device" or signer.role != "signer":
        raise _refused("a device definition needs the description of a device and that of its signer")
    if (description.template_id, description.chain_id) == (signer.template_id, signer.chain_id):
        raise _refused("signer and device have the same template id and chain id, which tell them apart")
    check_slots_differ(signer, description)
    issuer = signer.subject_name(signer_id=_SIGNER_ID_MARK)
    return _definition(description, issuer, at, issuer_definition=signer.name)


def definition_below(
    description: CertificateDescription, signer_certificate: bytes, *, issuer_definition: str, at: datetime
) -> CertificateDefinition:
    """Return the definition of device certificates that a signer issues of which only the certificate (DER) is known.

    Its common name ends in the signer id. `issuer_definition` is the name of the signer's own definition. Raises
    UsageError, CertificateError.
    """
    if description.role != "device":
        raise _refused("a device definition needs the description of a device")
    subject = x509.load_der_x509_certificate(signer_certificate).subject
    return _definition(description, _without_signer_id(subject), at, issuer_definition=issuer_definition)


def _without_signer_id(subject: x509.Name) -> x509.Name:
    """Return a signer's name with the placeholder for its id, the encoding of each attribute kept."""

    def placed(attribute: x509.NameAttribute[str | bytes]) -> x509.NameAttribute[str | bytes]:
        if attribute.oid != NameOID.COMMON_NAME or not isinstance(attribute.value, str):
            return attribute
        value = attribute.value[: -len(_SIGNER_ID_MARK)] + _SIGNER_ID_MARK
        return x509.NameAttribute(attribute.oid, value, attribute._type)

    return x509.Name(x509.RelativeDistinguishedName(map(placed, rdn)) for rdn in subject.rdns)


def check_slots_differ(signer: CertificateDescription, device: CertificateDescription) -> None:
    """Refuse two descriptions whose parts would share a slot of the chip."""
    assert signer.slots
    assert device.slots
    used = [signer.slots.compressed_certificate, signer.slots.public_key]
    used += [device.slots.compressed_certificate, device.slots.private_key]
    twice = sorted({slot for slot in used if slot is not None and used.count(slot) > 1})
    if twice:
        raise _refused(f"slot {twice[0]} is used twice by signer and device")
    if device.unit is not None and device.unit.slot in used and device.unit.slot is not None:
        raise _refused(f"the unit's name is in slot {device.unit.slot}, which a key or a certificate uses")


def _definition(
    description: CertificateDescription, issuer: x509.Name, at: datetime, *, issuer_definition: str
) -> CertificateDefinition:
    formats = _date_formats(description, at)
    template = _template(description, issuer, formats, _UNIT_MARK)
    other = _template(description, issuer, formats, _OTHER_UNIT_MARK)
    layout = certificate_layout(template)
    assert description.role != "root"
    assert description.slots is not None
    definition = CertificateDefinition(
        name=description.name,
        role=description.role,
        template_id=description.template_id,
        chain_id=description.chain_id,
        private_key_slot=_private_key_slot(description),
        sn_source=description.sn_source,
        issue_date_format=formats[0],
        expire_date_format=formats[1],
        tbs_cert_loc=_location(layout.tbs),
        expire_years=description.expire_years,
        public_key_dev_loc=public_key_location(description.slots),
        comp_cert_dev_loc=compressed_location(description.slots),
        std_cert_elements=_standard_elements(description, layout),
        cert_template=template,
        cert_elements=(
            *_chip_serial_elements(description, template, layout),
            *unit_elements(description.unit, template, other),
        ),
        ca_cert_def=issuer_definition,
        format_version=description.format_version,
        unit=description.unit,
    )
    definition.require_issuable()
    return definition


def _date_formats(description: CertificateDescription, at: datetime) -> tuple[DateFormat, DateFormat]:
    last = dates.LAST_ISSUE_YEAR[description.format_version]
    if at.year > last:
        raise _refused(f"compressed_format {description.format_version} holds issue years up to {last}, which are past")
    if not description.expire_years:
        return dates.needed_format(at.year), DateFormat.RFC5280_GEN
    return dates.needed_format(at.year), dates.needed_format(at.year + description.expire_years)


def _template(
    description: CertificateDescription, issuer: x509.Name, formats: tuple[DateFormat, DateFormat], unit_mark: str
) -> bytes:
    # The private key 1 makes the generator the public key: fixed, on the curve, and of no real device.
    key = ec.derive_private_key(1, ec.SECP256R1())
    identifier = key_id(raw_public_key(key.public_key()))
    begin, end = (_PLACEHOLDER_DATES[date_format] for date_format in formats)
    unit = description.unit.filled(unit_mark) if description.unit is not None else ""
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=description.subject_name(signer_id=_SIGNER_ID_MARK, chip_serial=_CHIP_SERIAL_MARK, unit=unit),
        public_key=key.public_key(),
        serial_number=0x40 << 8 * (description.serial_size - 1),
        not_valid_before=begin,
        not_valid_after=end,
    )
    builder = description.extensions.add(
        builder,
        key_id=identifier,
        issuer_key_id=identifier,
        alternative_name=description.alternative_name(_CHIP_SERIAL_MARK, unit),
    )
    signed = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    encoded = der_signature(_PLACEHOLDER_SIGNATURE)
    template = signed[: certificate_layout(signed).signature.start] + bytes([3, len(encoded) + 1, 0]) + encoded
    return template[:2] + (len(template) - 4).to_bytes(2, "big") + template[4:]


def _standard_elements(description: CertificateDescription, layout: CertificateLayout) -> tuple[CertLocation, ...]:
    name = layout.issuer_common_name if description.role == "device" else layout.subject_common_name
    assert name is not None
    spans = {
        StdElement.PUBLIC_KEY: layout.public_key,
        StdElement.SIGNATURE: Span(layout.signature.start, layout.signature.start + _SIGNATURE_SIZE),
        StdElement.ISSUE_DATE: layout.issue_date,
        StdElement.EXPIRE_DATE: layout.expire_date,
        StdElement.SIGNER_ID: Span(name.end - 4, name.end),
        StdElement.CERT_SN: layout.serial_number,
        StdElement.AUTH_KEY_ID: layout.authority_key_id,
        StdElement.SUBJ_KEY_ID: layout.subject_key_id,
    }
    return tuple(_location(spans[element]) for element in StdElement)


def _chip_serial_elements(
    description: CertificateDescription, template: bytes, layout: CertificateLayout
) -> tuple[CertElement, ...]:
    elements = []
    marks = list(_marks(template, layout))
    if len(marks) != description.chip_serials:
        raise _refused(f"its names must not hold {_CHIP_SERIAL_MARK}, which stands for the chip's serial number there")
    for number, (position, transform) in enumerate(marks):
        size = 1 if transform is Transform.NONE else 2
        for offset, count in SERIAL_LOCATIONS:
            location = DeviceLocation(DeviceZone.CONFIG, 0, False, offset, count)
            place = CertLocation(position, size * count)
            elements.append(CertElement(f"chip_serial_{number}_{offset}", location, place, (transform, Transform.NONE)))
            position += size * count
    return tuple(elements)


def _marks(template: bytes, layout: CertificateLayout) -> Iterator[tuple[int, Transform]]:
    """Yield where the chip's serial number stands in the template, and how it is written there."""
    assert layout.extensions is not None
    written = {
        _CHIP_SERIAL_MARK.encode(): Transform.BIN2HEX_UC,
        _CHIP_SERIAL_MARK.lower().encode(): Transform.BIN2HEX_LC,
        bytes.fromhex(_CHIP_SERIAL_MARK): Transform.NONE,
    }
    pattern = re.compile(b"|".join(map(re.escape, written)))
    for span in (layout.subject, layout.extensions):
        for match in pattern.finditer(template, span.start, span.end):
            yield match.start(), written[match.group()]


def public_key_location(slots: Slots) -> DeviceLocation:
    """Return where the public key of a certificate is: computed from a private key, or stored."""
    if slots.private_key is not None:
        return DeviceLocation(DeviceZone.DATA, slots.private_key, True, 0, PUBLIC_KEY_SIZE)
    assert slots.public_key is not None
    return DeviceLocation(DeviceZone.DATA, slots.public_key, False, 0, PADDED_KEY_SIZE)


def compressed_location(slots: Slots) -> DeviceLocation:
    """Return where the compressed certificate is."""
    return DeviceLocation(DeviceZone.DATA, slots.compressed_certificate, False, 0, COMPRESSED_SIZE)


def _private_key_slot(description: CertificateDescription) -> int:
    assert description.slots is not None
    return description.slots.private_key or 0


def _location(span: Span | None) -> CertLocation:
    return CertLocation(span.start, span.end - span.start) if span is not None else CertLocation()


def _refused(why: str) -> UsageError:
    return UsageError(f"No certificate definition can be made: {why}.", code=Code.DEFINITION_INVALID)


assert len(_CHIP_SERIAL_MARK) == PLACEHOLDER_SIZES["chip_serial"]
assert len(_SIGNER_ID_MARK) == PLACEHOLDER_SIZES["signer_id"]
