"""Build the certificate that a definition expects in place of one that was made elsewhere.

What a definition leaves open (dates, signer id, key) is taken from the certificate, as far as the compressed form can
hold it; everything else is as the definition says. Where the two are equal, the certificate has a compressed form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from atcaprov.certs import dates
from atcaprov.certs.certificate_fields import (
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
from atcaprov.certs.compressed_form import CompressedCertificate, hashed_dates
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.definitions.definition import CertificateDefinition, SerialSource, StdElement
from atcaprov.certs.der import GENERALIZED_TIME, UTC_TIME, read_tlv
from atcaprov.certs.keys import PUBLIC_KEY_SIZE, SIGNATURE_SIZE, signature_of
from atcaprov.certs.rebuild import StoredData, patched_template, put_elements, put_serial, with_signature
from atcaprov.errors import CertificateError

_POINT: Final = b"\x00\x04"
_SIGNER_ID: Final = re.compile(rb"[0-9A-Fa-f]{4}")
_UNKNOWN_SIGNER_ID: Final = b"XXXX"
_UNKNOWN_SIGNATURE: Final = b"\x01" * SIGNATURE_SIZE
_TAGS: Final = {UTC_TIME: DateFormat.RFC5280_UTC, GENERALIZED_TIME: DateFormat.RFC5280_GEN}
_Fields = Mapping[str, CertificateField]


class ExpectedCertificate(NamedTuple):
    """The certificate (DER) that a definition expects, and the fields of its compressed form."""

    certificate: bytes
    compressed: CompressedCertificate


def expected_certificate(
    definition: CertificateDefinition,
    certificate: bytes,
    *,
    ca_public_key: bytes,
    public_key: bytes | None = None,
    chip_serial: bytes | None = None,
    stored: StoredData | None = None,
) -> ExpectedCertificate:
    """Return what the definition expects where `certificate` (DER) is; keys are X||Y (64 bytes).

    Without `public_key` the certificate's own is expected. A serial number that the definition wants from the chip may
    be missing in `stored`: it is then the certificate's own. Raises CertificateError when the bytes are not a
    certificate, or something is missing that the definition needs of the chip.
    """
    fields = {field.name: field for field in certificate_fields(certificate)}
    placeholder = definition.layout.public_key.of(definition.cert_template)
    key = public_key or _public_key(certificate, fields) or placeholder
    signer_id = _signer_id(definition, certificate, fields)
    signature = _signature(certificate, fields) or _UNKNOWN_SIGNATURE
    compressed = _compressed(definition, certificate, fields, signer_id or bytes(2), signature)
    built = patched_template(definition, compressed, key, ca_public_key)
    if signer_id is None:
        _put(built, definition, StdElement.SIGNER_ID, _UNKNOWN_SIGNER_ID)
    put_elements(built, definition, chip_serial, stored)
    if definition.sn_source is SerialSource.STORED:
        _put(built, definition, StdElement.CERT_SN, _stored_serial(definition, certificate, fields, stored))
    else:
        put_serial(built, definition, compressed.signer_id, key, hashed_dates(compressed.pack()), chip_serial)
    return ExpectedCertificate(with_signature(built, definition, signature), compressed)


def _put(built: bytearray, definition: CertificateDefinition, element: StdElement, value: bytes) -> None:
    location = definition.element(element)
    if location.count:
        built[location.offset : location.end] = value


def _content(certificate: bytes, field: CertificateField) -> bytes:
    tlv = read_tlv(certificate, field.start, field.end)
    return certificate[tlv.content : tlv.end]


def _public_key(certificate: bytes, fields: _Fields) -> bytes | None:
    if PUBLIC_KEY not in fields:
        return None
    bits = _content(certificate, fields[PUBLIC_KEY])
    return bits[2:] if bits[:2] == _POINT and len(bits) == 2 + PUBLIC_KEY_SIZE else None


def _signature(certificate: bytes, fields: _Fields) -> bytes | None:
    if SIGNATURE not in fields:
        return None
    try:
        return signature_of(certificate[fields[SIGNATURE].start : fields[SIGNATURE].end])
    except CertificateError:
        return None


def _signer_id(definition: CertificateDefinition, certificate: bytes, fields: _Fields) -> bytes | None:
    """Return the signer id (2 bytes) that stands where the definition has it; None if none does."""
    location, layout = definition.element(StdElement.SIGNER_ID), definition.layout
    if not location.count:
        return bytes(2)
    is_device = definition.role == "device"
    name = layout.issuer_common_name if is_device else layout.subject_common_name
    field = fields.get(f"{ISSUER if is_device else SUBJECT} CN")
    if field is None or name is None:
        return None
    text = _content(certificate, field)[location.offset - name.start :][: location.count]
    return bytes.fromhex(text.decode()) if _SIGNER_ID.fullmatch(text) else None


def _stored_serial(
    definition: CertificateDefinition, certificate: bytes, fields: _Fields, stored: StoredData | None
) -> bytes:
    location = definition.element(StdElement.CERT_SN)
    fixed = definition.cert_template[location.offset : location.end]
    if not definition.cert_sn_dev_loc.present:
        return fixed
    serial = definition.layout.serial_number
    own = _content(certificate, fields[SERIAL_NUMBER])[location.offset - serial.start :][: location.count]
    found = (stored or {}).get(definition.cert_sn_dev_loc, own)
    return found if len(found) == location.count else fixed


def _compressed(
    definition: CertificateDefinition, certificate: bytes, fields: _Fields, signer_id: bytes, signature: bytes
) -> CompressedCertificate:
    issue_date, expire_years = _validity(definition, certificate, fields)
    return CompressedCertificate(
        signature=signature,
        issue_date=issue_date,
        expire_years=expire_years,
        signer_id=signer_id,
        template_id=definition.template_id,
        chain_id=definition.chain_id,
        sn_source=definition.sn_source,
        format_version=dates.format_version_for(issue_date.year, expire_years),
    )


def _validity(definition: CertificateDefinition, certificate: bytes, fields: _Fields) -> tuple[datetime, int]:
    """Return the issue date and number of years that are nearest to those of the certificate and can be stored."""
    template = definition.cert_template
    issue = _date(certificate, fields.get(NOT_BEFORE)) or dates.parse_date(
        definition.layout.issue_date.of(template), definition.issue_date_format
    )
    issue = _storable(issue, definition.issue_date_format)
    years = _years(definition, issue, certificate, fields.get(NOT_AFTER))
    try:
        dates.expire_date(issue, years, definition.expire_date_format)
    except CertificateError:  # 29 February of a year that has none
        issue = dates.issue_hour(issue, years)
    return issue, years


def _storable(date: datetime, date_format: DateFormat) -> datetime:
    last = dates.LAST_UTC_TIME_YEAR if date_format is DateFormat.RFC5280_UTC else dates.LAST_ISSUE_YEAR[1]
    hour = date.replace(minute=0, second=0, microsecond=0)
    year = min(max(hour.year, dates.FIRST_YEAR), last)
    return hour if year == hour.year else hour.replace(year=year, day=min(hour.day, 28))


def _years(
    definition: CertificateDefinition, issue: datetime, certificate: bytes, field: CertificateField | None
) -> int:
    date_format = definition.expire_date_format
    expire = _date(certificate, field, date_format)
    if expire is None or not definition.element(StdElement.EXPIRE_DATE).count:
        return definition.expire_years
    if expire == dates.NO_EXPIRY[date_format]:
        return 0
    most = dates.MAX_EXPIRE_YEARS[1]
    if date_format is DateFormat.RFC5280_UTC:
        most = min(most, dates.LAST_UTC_TIME_YEAR - issue.year)
    return max(min(expire.year - issue.year, most), min(most, 1))


def _date(certificate: bytes, field: CertificateField | None, needed: DateFormat | None = None) -> datetime | None:
    """Return the date in a field; None if it has none, or not in the form that is needed."""
    if field is None:
        return None
    date_format = _TAGS.get(certificate[field.start])
    if date_format is None or needed not in (None, date_format):
        return None
    try:
        return dates.parse_date(_content(certificate, field), date_format)
    except CertificateError:
        return None
