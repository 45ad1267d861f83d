"""Check a certificate definition: can certificates be rebuilt from a chip and, stricter, can they be issued?

The rules come from the vendor's implementation; docs/reference/certificate-descriptions.md lists them with reasons.
"""

from __future__ import annotations

import itertools
import re
from typing import Final

from atcaprov.certs import der
from atcaprov.certs.compressed_form import COMPRESSED_SIZE
from atcaprov.certs.dates import MAX_EXPIRE_YEARS, DateFormat
from atcaprov.certs.definitions.fields import (
    MAX_TRANSFORMED,
    CertElement,
    CertLocation,
    DefinitionFields,
    DeviceLocation,
    DeviceZone,
    StdElement,
    Transform,
)
from atcaprov.certs.keys import PADDED_KEY_SIZE, PUBLIC_KEY_SIZE
from atcaprov.certs.serial_number import FIXED_SIZES, HASHES, MAX_SIZE, NEEDS_CHIP_SERIAL, SerialSource
from atcaprov.certs.x509_layout import CertificateLayout, Span, changeable_values
from atcaprov.chip.memory_map import CONFIG_SIZE, OTP_SIZE, SLOT_COUNT, SLOT_SIZES
from atcaprov.errors import CertificateError, Code

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TAGS: Final = {DateFormat.RFC5280_UTC: der.UTC_TIME, DateFormat.RFC5280_GEN: der.GENERALIZED_TIME}
_RFC5280_SERIAL: Final = 20
_FROM_HEX: Final = {
    Transform.HEX2BIN_UC,
    Transform.HEX2BIN_LC,
    Transform.HEX2BIN_SPACE_UC,
    Transform.HEX2BIN_SPACE_LC,
}
_CHIP_SERIAL_IS: Final = "the chip's serial number, which is"
SERIAL_LOCATIONS: Final = ((0, 4), (8, 5))
"""Offset and count of the chip's serial number in the configuration zone."""


def check(definition: DefinitionFields) -> None:
    """Raise CertificateError (definition-invalid) unless certificates can be rebuilt with the definition."""
    if not _NAME.fullmatch(definition.name) or (definition.ca_cert_def and not _NAME.fullmatch(definition.ca_cert_def)):
        raise refused("its name and its issuer's must consist of letters, digits and _, and begin with a letter")
    if definition.role not in ("signer", "device"):
        raise refused("its role must be signer or device")
    if definition.type != 0:
        raise refused(f"its type {definition.type.name} is not supported, only X509 is")
    _check_numbers(definition)
    if len(definition.std_cert_elements) != len(StdElement):
        raise refused("it must have eight standard elements")
    layout = _template_layout(definition)
    _check_device_locations(definition)
    _check_standard_elements(definition, layout)
    _check_serial(definition, layout)
    _check_extra_elements(definition, layout)
    _check_unit(definition)


def _check_numbers(definition: DefinitionFields) -> None:
    if not (0 <= definition.template_id <= 15 and 0 <= definition.chain_id <= 15):
        raise refused("template id and chain id must be numbers from 0 to 15")
    if definition.format_version not in MAX_EXPIRE_YEARS:
        raise refused("format versions of P-256 certificates are 0 and 1")
    most = MAX_EXPIRE_YEARS[definition.format_version]
    if not 0 <= definition.expire_years <= most:
        raise refused(
            f"{definition.expire_years} years of validity do not fit; "
            f"format version {definition.format_version} holds 0 (no expiry) to {most}"
        )
    if definition.std_sig_size not in (0, 64):
        raise refused("signatures of P-256 have 64 bytes")
    if not 0 <= definition.private_key_slot < SLOT_COUNT:
        raise refused("the private key slot must be a number from 0 to 15")


def _template_layout(definition: DefinitionFields) -> CertificateLayout:
    try:
        layout = definition.layout
    except CertificateError as error:
        raise refused(f"its template is not usable; {error.what[0].lower()}{error.what[1:].rstrip('.')}") from error
    if definition.cert_template[1] != 0x82:
        raise refused("its template must be from 256 to 65535 bytes long")
    return layout


def _check_device_locations(definition: DefinitionFields) -> None:
    key, compressed = definition.public_key_dev_loc, definition.comp_cert_dev_loc
    for name, location in (("public key", key), ("compressed certificate", compressed)):
        _check_in_zone(name, location)
    if compressed.zone is not DeviceZone.DATA or compressed.by_gen_key or compressed.count != COMPRESSED_SIZE:
        raise refused("the compressed certificate must be 72 bytes of a data slot")
    if key.zone not in (DeviceZone.DATA, DeviceZone.GENKEY):
        raise refused("the public key must be in a data slot or come from GenKey")
    size = PUBLIC_KEY_SIZE if key.by_gen_key else PADDED_KEY_SIZE
    if key.count != size:
        raise refused(f"the public key must be {size} bytes where it is now, not {key.count}")
    if not key.by_gen_key and key.slot == compressed.slot and abs(key.offset - compressed.offset) < COMPRESSED_SIZE:
        raise refused("public key and compressed certificate overlap in one slot")


def _check_in_zone(name: str, location: DeviceLocation) -> None:
    if not 0 <= location.slot < SLOT_COUNT or location.offset < 0 or location.count < 0:
        raise refused(f"the location of the {name} must be in slots 0 to 15")
    sizes = {DeviceZone.CONFIG: CONFIG_SIZE, DeviceZone.OTP: OTP_SIZE, DeviceZone.DATA: SLOT_SIZES[location.slot]}
    if location.zone is DeviceZone.DEDICATED:
        raise refused(f"the location of the {name} is in a zone that the ATECC608 does not have")
    if location.by_gen_key or not location.present:
        return
    size = sizes[location.zone]
    if location.offset + location.count > size:
        raise refused(f"the {name} does not fit: bytes {location.offset} and {location.count} more, of {size}")


def _check_standard_elements(definition: DefinitionFields, layout: CertificateLayout) -> None:
    if not _same(definition.tbs_cert_loc, layout.tbs):
        raise refused("tbs_cert_loc is not where the signed part of the template is")
    if definition.element(StdElement.SIGNATURE).offset != layout.signature.start:
        raise refused("SIGNATURE does not begin at the signature of the template")
    expected: list[tuple[StdElement, Span | None, bool]] = [
        (StdElement.PUBLIC_KEY, layout.public_key, True),
        (StdElement.ISSUE_DATE, layout.issue_date, True),
        (StdElement.EXPIRE_DATE, layout.expire_date, False),
        (StdElement.AUTH_KEY_ID, layout.authority_key_id, False),
        (StdElement.SUBJ_KEY_ID, layout.subject_key_id, False),
    ]
    for element, span, needed in expected:
        location = definition.element(element)
        if (needed or location.count) and (span is None or not _same(location, span)):
            raise refused(f"{element.name} is not where the template has it")
    _check_date(definition.issue_date_format, definition.element(StdElement.ISSUE_DATE), layout.issue_date_tag)
    _check_date(definition.expire_date_format, definition.element(StdElement.EXPIRE_DATE), layout.expire_date_tag)
    _check_signer_id(definition, layout)


def _check_date(date_format: DateFormat, location: CertLocation, tag: int) -> None:
    # The template's own tag settles the length: a UTCTime with 13 bytes, a GeneralizedTime with 15.
    if location.count and (_TAGS.get(date_format) != tag or location.count != {der.UTC_TIME: 13}.get(tag, 15)):
        raise refused(f"the date format {date_format.name} is not that of the template")


def _check_signer_id(definition: DefinitionFields, layout: CertificateLayout) -> None:
    location = definition.element(StdElement.SIGNER_ID)
    if not location.count:
        return
    name = layout.issuer_common_name if definition.role == "device" else layout.subject_common_name
    if location.count != 4 or name is None or not name.holds(location.offset, location.end):
        whose = "issuer's" if definition.role == "device" else "subject's"
        raise refused(f"SIGNER_ID must be 4 characters of the {whose} common name")


def _check_serial(definition: DefinitionFields, layout: CertificateLayout) -> None:
    location, source = definition.element(StdElement.CERT_SN), definition.sn_source
    if source is SerialSource.STORED_DYNAMIC:
        raise refused("the serial number source STORED_DYNAMIC corrupts certificates in the vendor's library")
    if source is SerialSource.STORED:
        stored = definition.cert_sn_dev_loc
        _check_in_zone("serial number", stored)
        if stored.present and stored.count != location.count:
            raise refused("the stored serial number has another length than CERT_SN")
        if stored.by_gen_key:
            raise refused("a serial number does not come from GenKey")
    if not location.count and source is SerialSource.STORED:
        return
    if not 1 <= location.count <= MAX_SIZE or not layout.serial_number.holds(location.offset, location.end):
        raise refused("CERT_SN must be 1 to 32 bytes of the serial number of the template")
    if location.count != FIXED_SIZES.get(source, location.count):
        raise refused(f"a serial number of source {source.name} has {FIXED_SIZES[source]} bytes")


def _check_extra_elements(definition: DefinitionFields, layout: CertificateLayout) -> None:
    taken = [location for location in definition.std_cert_elements if location.count]
    taken.sort(key=lambda location: location.offset)
    places = _places(definition.cert_template, layout) if definition.cert_elements else []
    dates = [definition.element(element) for element in (StdElement.ISSUE_DATE, StdElement.EXPIRE_DATE)]
    for element in definition.cert_elements:
        if element.cert_loc in dates:
            # The text of a whole date, which a chip may keep besides the compressed one, takes its place.
            _check_device_location_of(element)
            element.certificate_bytes(bytes(element.device_loc.count))
            continue
        _check_extra_element(element, places)
        taken.append(element.cert_loc)
    taken.sort(key=lambda location: location.offset)
    for before, after in itertools.pairwise(taken):
        if after.offset < before.end:
            raise refused(f"elements overlap at byte {after.offset} of the certificate")


def _places(template: bytes, layout: CertificateLayout) -> list[Span]:
    parts = [layout.issuer, layout.subject, *([layout.extensions] if layout.extensions else [])]
    return [value for part in parts for value in changeable_values(template, part)]


def _check_device_location_of(element: CertElement) -> None:
    if not element.id or len(element.id) > 24 or not element.id.isascii():
        raise refused("the id of an element must be 1 to 24 ASCII characters")
    location = element.device_loc
    _check_in_zone(f"element {element.id}", location)
    if not location.present or location.by_gen_key or location.count > MAX_TRANSFORMED:
        raise refused(f"element {element.id} must be bytes that Read returns")


def _check_extra_element(element: CertElement, places: list[Span]) -> None:
    _check_device_location_of(element)
    start, end = element.cert_loc.offset, element.cert_loc.end
    if not element.cert_loc.count or not any(place.holds(start, end) for place in places):
        raise refused(f"element {element.id} must stand in one value of the names or extensions of the certificate")
    if not _FROM_HEX & set(element.transforms):
        element.certificate_bytes(bytes(element.device_loc.count))  # refuses another length than that of cert_loc


def _check_unit(definition: DefinitionFields) -> None:
    """Refuse a place for the unit's name that something else has, and a name that is not whole in the certificate."""
    place = definition.unit_location
    if definition.unit is None:
        return
    if definition.role != "device":
        raise refused("a signer certificate cannot contain the name of the unit that it will be stored in")
    _check_in_zone("unit's name", place)
    taken = [definition.comp_cert_dev_loc.slot, definition.private_key_slot]
    taken += [] if definition.public_key_dev_loc.by_gen_key else [definition.public_key_dev_loc.slot]
    if place.zone is DeviceZone.DATA and place.slot in taken:
        raise refused(f"the unit's name is in slot {place.slot}, which holds a key or the certificate")
    of_unit = [each.device_loc for each in definition.cert_elements if definition.is_of_unit(each.device_loc)]
    if {byte for each in of_unit for byte in range(each.offset, each.end)} != set(range(place.offset, place.end)):
        raise refused("its elements do not take every byte of the unit's name")


def check_issuable(definition: DefinitionFields) -> None:
    """Raise CertificateError (definition-invalid) unless each certificate issued can be rebuilt by every reader."""
    source = definition.sn_source
    if source not in (SerialSource.PUB_KEY_HASH, SerialSource.DEVICE_SN_HASH, *FIXED_SIZES):
        raise refused(f"serial numbers of source {source.name} are not issued: they are stored, or not always positive")
    if source in HASHES and definition.element(StdElement.CERT_SN).count < 8:
        raise refused("a hashed serial number needs at least 8 bytes to be unique")
    _check_issuable_role(definition)
    serial = definition.layout.serial_number
    if serial.end - serial.start > _RFC5280_SERIAL:
        raise refused("the serial number is longer than the 20 bytes of RFC 5280")
    _check_issuable_dates(definition)
    for element in (StdElement.SIGNER_ID, StdElement.EXPIRE_DATE):
        if not definition.element(element).count:
            raise refused(f"certificates cannot be issued without {element.name}")
    for extra in definition.cert_elements:
        if not (is_chip_serial(extra.device_loc) or definition.is_of_unit(extra.device_loc)):
            what = "the chip's serial number or the unit's name, which are" if definition.unit else _CHIP_SERIAL_IS
            raise refused(f"element {extra.id} is not part of {what} all an issuer knows")
        if _FROM_HEX & set(extra.transforms):
            raise refused(f"element {extra.id} turns digits into bytes, which an issuer does not do")


def _check_issuable_role(definition: DefinitionFields) -> None:
    source = definition.sn_source
    if definition.role == "signer" and needs_chip_serial(definition):
        raise refused("a signer certificate cannot contain the serial number of the chip that it will be stored in")
    if definition.role == "device" and source is SerialSource.SIGNER_ID:
        raise refused("with the serial number source SIGNER_ID all devices of a signer have the same serial number")


def _check_issuable_dates(definition: DefinitionFields) -> None:
    if definition.expire_date_format is DateFormat.RFC5280_UTC and not definition.expire_years:
        raise refused("no expiry means the date 9999-12-31, which needs GeneralizedTime; it has UTCTime")
    if definition.first_issue_year > definition.last_issue_year:
        raise refused("no issue year fits it: RFC 5280 demands UTCTime for dates up to 2049 and GeneralizedTime after")


def needs_chip_serial(definition: DefinitionFields) -> bool:
    """Tell whether the serial number source or an element takes the chip's serial number."""
    return definition.sn_source in NEEDS_CHIP_SERIAL or any(
        is_chip_serial(element.device_loc) for element in definition.cert_elements
    )


def is_chip_serial(location: DeviceLocation) -> bool:
    """Tell whether a location lies wholly in the chip's serial number (config bytes 0-3 and 8-12)."""
    return location.zone is DeviceZone.CONFIG and any(
        start <= location.offset and location.offset + location.count <= start + count
        for start, count in SERIAL_LOCATIONS
    )


def _same(location: CertLocation, span: Span) -> bool:
    return (location.offset, location.end) == (span.start, span.end)


def refused(rule: str) -> CertificateError:
    """Return the error of a definition that breaks a rule."""
    return CertificateError(f"The certificate definition is refused: {rule}.", code=Code.DEFINITION_INVALID)
