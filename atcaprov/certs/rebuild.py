"""Rebuild a certificate from its parts on the chip, byte for byte as it was signed.

The order of steps is the vendor's (cryptoauthlib lib/atcacert/atcacert_def.c and atcacert_client.c).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from atcaprov.certs import dates, serial_number
from atcaprov.certs.compressed_form import CompressedCertificate, hashed_dates, require_compressed
from atcaprov.certs.definitions.checks import is_chip_serial
from atcaprov.certs.definitions.definition import (
    CertificateDefinition,
    CertLocation,
    DeviceLocation,
    DeviceZone,
    SerialSource,
    StdElement,
    Transform,
)
from atcaprov.certs.keys import PUBLIC_KEY_SIZE, der_signature, key_id, padded_public_key, unpadded_public_key
from atcaprov.errors import CertificateError, Code

_PUBLIC_KEY: Final = int(StdElement.PUBLIC_KEY)
_SUBJECT_KEY_ID: Final = int(StdElement.SUBJ_KEY_ID)
_SERIAL_NUMBER: Final = int(StdElement.CERT_SN)

StoredData = Mapping[DeviceLocation, bytes]
"""The chip's bytes at locations that a definition names besides key, compressed form and chip serial."""
ReadPlace = Callable[[DeviceLocation], bytes]
"""Returns the bytes of a location that the chip shows in clear."""


@dataclass(frozen=True, slots=True)
class SlotContent:
    """Bytes that a data slot must hold."""

    slot: int
    offset: int
    data: bytes


def rebuild(
    definition: CertificateDefinition,
    *,
    compressed: bytes,
    public_key: bytes,
    ca_public_key: bytes,
    chip_serial: bytes | None = None,
    stored: StoredData | None = None,
) -> bytes:
    """Return the certificate (DER) of a compressed form (72 bytes).

    `public_key` and `ca_public_key` are X||Y (64 bytes), `chip_serial` the chip's 9 bytes where the definition needs
    them, `stored` what else it needs from the chip. Raises CertificateError: certificate-mismatch when the compressed
    form belongs to another definition, certificate for bytes that are not a compressed certificate.
    """
    certificate = _rebuilt(definition, compressed, public_key, ca_public_key, chip_serial, stored)
    return with_signature(certificate, definition, CompressedCertificate.parse(compressed).signature)


def rebuild_unsigned(
    definition: CertificateDefinition,
    *,
    compressed: bytes,
    public_key: bytes,
    ca_public_key: bytes,
    chip_serial: bytes | None = None,
    stored: StoredData | None = None,
) -> bytes:
    """Return the part of a certificate that is signed (DER TBSCertificate); bytes 0 to 63 of `compressed` do not count.

    Arguments and errors as in `rebuild`.
    """
    return to_be_signed(_rebuilt(definition, compressed, public_key, ca_public_key, chip_serial, stored), definition)


def to_be_signed(certificate: bytes | bytearray, definition: CertificateDefinition) -> bytes:
    """Return the bytes of a certificate that its signature covers."""
    location = definition.tbs_cert_loc
    return bytes(certificate[location.offset : location.end])


def _rebuilt(
    definition: CertificateDefinition,
    compressed: bytes,
    public_key: bytes,
    ca_public_key: bytes,
    chip_serial: bytes | None,
    stored: StoredData | None,
) -> bytearray:
    """Return the certificate, still with the template's signature."""
    parsed = CompressedCertificate.parse(compressed)
    _check_same_definition(definition, parsed)
    certificate = patched_template(definition, parsed, public_key, ca_public_key)
    if definition.sn_source is SerialSource.STORED:
        _put(certificate, definition.std_cert_elements[_SERIAL_NUMBER], _stored_serial(definition, stored))
    put_elements(certificate, definition, chip_serial, stored)
    if definition.sn_source is not SerialSource.STORED:
        put_serial(certificate, definition, parsed.signer_id, public_key, hashed_dates(compressed), chip_serial)
    return certificate


def _check_same_definition(definition: CertificateDefinition, parsed: CompressedCertificate) -> None:
    pairs = (
        ("template id", parsed.template_id, definition.template_id),
        ("chain id", parsed.chain_id, definition.chain_id),
        ("serial number source", parsed.sn_source, definition.sn_source),
    )
    for name, found, expected in pairs:
        if found != expected:
            raise CertificateError(
                f"The compressed certificate has {name} {found:X}, the definition {definition.name} has {expected:X}.",
                advice="Use the definition with which the certificate was issued.",
                code=Code.CERTIFICATE_MISMATCH,
            )


def patched_template(
    definition: CertificateDefinition, fields: CompressedCertificate, public_key: bytes, ca_public_key: bytes
) -> bytearray:
    """Return the template with keys, key ids, dates and signer id put in."""
    if len(public_key) != PUBLIC_KEY_SIZE or len(ca_public_key) != PUBLIC_KEY_SIZE:
        raise CertificateError("Public keys must be given as X||Y, 64 bytes.", code=Code.KEY_MISMATCH)
    dates.require_utc(fields.issue_date)
    certificate = bytearray(
        _same_for_an_hour(definition, ca_public_key, fields.issue_date, fields.expire_years, fields.signer_id)
    )
    certificate[definition.spans[_PUBLIC_KEY]] = public_key
    if definition.std_cert_elements[_SUBJECT_KEY_ID].count:
        certificate[definition.spans[_SUBJECT_KEY_ID]] = key_id(public_key)
    return certificate


@functools.lru_cache(maxsize=64)
def _same_for_an_hour(
    definition: CertificateDefinition, ca_public_key: bytes, issue_date: datetime, expire_years: int, signer_id: bytes
) -> bytes:
    """Return the template with all that the certificates of one signer and one hour have in common.

    A server makes thousands of them, and builds each twice. Only dates in UTC may come here: equal moments of two time
    zones are one key of the cache.
    """
    certificate = bytearray(definition.cert_template)
    elements = definition.std_cert_elements
    _put(certificate, elements[StdElement.AUTH_KEY_ID], key_id(ca_public_key))
    begin, end = dates.validity_texts(
        issue_date, expire_years, definition.issue_date_format, definition.expire_date_format
    )
    _put(certificate, elements[StdElement.ISSUE_DATE], begin)
    _put(certificate, elements[StdElement.EXPIRE_DATE], end)
    _put(certificate, elements[StdElement.SIGNER_ID], signer_id.hex().upper().encode())
    return bytes(certificate)


def put_serial(
    certificate: bytearray,
    definition: CertificateDefinition,
    signer_id: bytes,
    public_key: bytes,
    date_bytes: bytes,
    chip_serial: bytes | None,
) -> None:
    """Put the generated serial number into the certificate; `date_bytes` as in serial_number.generate."""
    location = definition.std_cert_elements[_SERIAL_NUMBER]
    serial = serial_number.generate(
        definition.sn_source,
        location.count,
        public_key=public_key,
        chip_serial=chip_serial,
        signer_id=signer_id,
        dates=date_bytes,
    )
    _put(certificate, location, serial)


def put_elements(
    certificate: bytearray,
    definition: CertificateDefinition,
    chip_serial: bytes | None,
    stored: StoredData | None = None,
) -> None:
    """Put the elements beyond the standard ones into the certificate."""
    if definition.elements_of_chip_serial:
        for location, value in _of_chip_serial(definition, serial_number.checked_chip_serial(chip_serial)):
            _put(certificate, location, value)
    for element in definition.other_elements:
        _put(certificate, element.cert_loc, element.certificate_bytes(_from_chip(element.device_loc, stored)))


@functools.lru_cache(maxsize=512)
def _of_chip_serial(definition: CertificateDefinition, chip_serial: bytes) -> list[tuple[CertLocation, bytes]]:
    """Return the elements that a chip's serial number gives. An issuer builds each certificate twice."""
    # The serial number as the configuration zone holds it: bytes 0-3 and 8-12.
    config = chip_serial[:4] + bytes(4) + chip_serial[4:]
    return [
        (element.cert_loc, element.certificate_bytes(config[element.device_loc.offset :][: element.device_loc.count]))
        for element in definition.elements_of_chip_serial
    ]


def _stored_serial(definition: CertificateDefinition, stored: StoredData | None) -> bytes:
    location = definition.cert_sn_dev_loc
    if definition.sn_source is SerialSource.STORED and location.present:
        return _from_chip(location, stored)
    serial = definition.element(StdElement.CERT_SN)
    return definition.cert_template[serial.offset : serial.end]


def _from_chip(location: DeviceLocation, stored: StoredData | None) -> bytes:
    data = (stored or {}).get(location)
    if data is None or len(data) != location.count:
        where = (
            f"slot {location.slot}" if location.zone is DeviceZone.DATA else f"the {location.zone.name.lower()} zone"
        )
        raise CertificateError(
            f"The certificate needs {location.count} bytes from {where}, byte {location.offset}, which were not given."
        )
    return data


def with_signature(certificate: bytearray, definition: CertificateDefinition, signature: bytes) -> bytes:
    """Return the certificate with R||S as its signature, and the outer length set."""
    encoded = der_signature(signature)
    del certificate[definition.element(StdElement.SIGNATURE).offset :]
    certificate += bytes([0x03, len(encoded) + 1, 0]) + encoded
    certificate[2:4] = (len(certificate) - 4).to_bytes(2, "big")
    return bytes(certificate)


def _put(certificate: bytearray, location: CertLocation, value: bytes) -> None:
    # Values have the length of their element by the checks of the definition.
    count = location.count
    if count:
        offset = location.offset
        certificate[offset : offset + count] = value


def slot_contents(definition: CertificateDefinition, *, compressed: bytes, public_key: bytes) -> list[SlotContent]:
    """Return what the data slots must hold for this certificate.

    A public key that GenKey gives needs no write. A writer of 32-byte blocks fills the rest of the last one with zeros.
    """
    require_compressed(compressed)
    location = definition.comp_cert_dev_loc
    writes = [SlotContent(location.slot, location.offset, compressed)]
    key = definition.public_key_dev_loc
    if key.zone is DeviceZone.DATA and not key.by_gen_key:
        writes.append(SlotContent(key.slot, key.offset, padded_public_key(public_key)))
    return writes


def unit_content(definition: CertificateDefinition, unit: str) -> bytes:
    """Return the bytes of a unit's name for its place on the chip; raises as `stored_unit`."""
    stored_unit(definition, unit)
    return definition.unit.stored(unit) if definition.unit is not None else b""


def from_slots(definition: CertificateDefinition, read: Callable[[int, int, int], bytes]) -> tuple[bytes, bytes | None]:
    """Return (compressed form, X||Y) from the chip; the key is None if GenKey gives it.

    `read(slot, offset, count)` returns bytes of a data slot. Raises CertificateError when a slot holds no key.
    """
    location = definition.comp_cert_dev_loc
    compressed = read(location.slot, location.offset, location.count)
    key = definition.public_key_dev_loc
    if key.zone is not DeviceZone.DATA or key.by_gen_key:
        return compressed, None
    return compressed, unpadded_public_key(read(key.slot, key.offset, key.count))


def from_places(definition: CertificateDefinition, read: ReadPlace) -> tuple[bytes, bytes | None]:
    """Return the same as `from_slots`, with a reader of any zone."""
    return from_slots(
        definition, lambda slot, offset, count: read(DeviceLocation(DeviceZone.DATA, slot, False, offset, count))
    )


def stored_unit(definition: CertificateDefinition, unit: str) -> StoredData:
    """Return what `rebuild` wants in `stored` for a unit's name; nothing if the certificate holds none.

    Raises CertificateError: unit-missing, unit-unexpected, or unit-invalid with the rule that the name breaks.
    """
    rule = definition.unit
    if rule is None:
        if unit:
            raise CertificateError(
                f"Certificates of the definition {definition.name} hold no name of a unit, and one was given.",
                code=Code.UNIT_UNEXPECTED,
            )
        return {}
    if not unit:
        raise CertificateError("This certificate contains the unit's name, and none was given.", code=Code.UNIT_MISSING)
    try:
        name = rule.stored(unit)
    except ValueError as error:
        raise CertificateError(str(error), code=Code.UNIT_INVALID) from None
    return _parts_of_unit(definition, name)


def unit_of_certificate(definition: CertificateDefinition, certificate: bytes) -> str:
    """Return the unit's name that a certificate (DER) of this definition holds; empty if there is none by its rule."""
    if definition.unit is None:
        return ""
    name, first = bytearray(definition.unit.size), definition.unit.offset
    for element in definition.other_elements:
        place, written = element.device_loc, certificate[element.cert_loc.offset : element.cert_loc.end]
        if definition.is_of_unit(place):
            try:
                data = written if element.transforms[0] is Transform.NONE else bytes.fromhex(written.decode("ascii"))
            except ValueError:
                return ""
            name[place.offset - first : place.end - first] = data
    return definition.unit.written(bytes(name)) or ""


def _parts_of_unit(definition: CertificateDefinition, name: bytes) -> dict[DeviceLocation, bytes]:
    first = definition.unit_location.offset
    places = [each.device_loc for each in definition.other_elements if definition.is_of_unit(each.device_loc)]
    return {place: name[place.offset - first : place.end - first] for place in places}


def read_stored(definition: CertificateDefinition, read: ReadPlace) -> StoredData:
    """Return what `rebuild` wants in `stored` as a chip shows it; the unit's name is read at once."""
    others = [place for place in stored_locations(definition) if not definition.is_of_unit(place)]
    found = {place: read(place) for place in others}
    if definition.unit is not None:
        found |= _parts_of_unit(definition, read(definition.unit_location))
    return found


def stored_locations(definition: CertificateDefinition) -> list[DeviceLocation]:
    """Return the locations whose bytes `rebuild` wants in `stored`."""
    locations = [element.device_loc for element in definition.cert_elements if not is_chip_serial(element.device_loc)]
    serial = definition.cert_sn_dev_loc
    if definition.sn_source is SerialSource.STORED and serial.present:
        locations.insert(0, serial)
    return locations
