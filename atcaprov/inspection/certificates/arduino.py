"""Arduino: the certificate of the Arduino Cloud, and the self-signed one of the ArduinoECCX08 library.

Sources: arduino-libraries/ArduinoIoTCloud src/tls/utility/ECCX08Cert.cpp and arduino-libraries/Arduino_SecureElement
src/utility/SElementArduinoCloud.h, SElementArduinoCloudCertificate.cpp (slots, names); arduino-libraries/ArduinoECCX08
src/utility/ECCX08SelfSignedCert.cpp, ASN1Utils.cpp, and its example of the same name (any slot from 8 on; the name is
the chip's serial number). All names are PrintableStrings. A certificate without authority key id has an empty sequence
of extensions. The two kinds write the dates differently: the first as three bytes of 24 bits, the second as C bit
fields of uint8_t, each of which takes a byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from atcaprov.certs.dates import decode_dates
from atcaprov.certs.keys import SIGNATURE_SIZE
from atcaprov.errors import CertificateError
from atcaprov.inspection.certificates import x509_writer as x509
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain, StorageLayout, is_signed_by
from atcaprov.inspection.snapshot import ChipSnapshot

_CLOUD_KEY_SLOT: Final = 0
_CLOUD_SIGNATURE, _CLOUD_SERIAL, _CLOUD_DEVICE = 10, 11, 12
_CLOUD_ISSUER: Final = (("C", "US"), ("O", "Arduino LLC US"), ("OU", "IT"), ("CN", "Arduino"))
_DEVICE_ID: Final = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DEVICE_ID_SIZE, _SERIAL_SIZE, _KEY_ID_SIZE = 36, 16, 20
_DATES_END: Final = SIGNATURE_SIZE + 5
_STORAGE_SLOTS: Final = range(8, 16)
_SELF_SIGNED_SERIAL: Final = b"\x01"


def find(chip: ChipSnapshot) -> Iterator[FoundChain]:
    """Yield the certificate of the Arduino Cloud, whose issuer's key is not on the chip, and self-signed ones."""
    cloud = _cloud(chip)
    if cloud is not None:
        yield cloud
    for slot in _STORAGE_SLOTS:
        content = chip.stored(slot, 0, _DATES_END)
        if content is not None and any(content):
            yield from _self_signed(chip, slot, content)


def _cloud(chip: ChipSnapshot) -> FoundChain | None:
    key = chip.public_keys.get(_CLOUD_KEY_SLOT)
    stored = chip.stored(_CLOUD_SIGNATURE, 0, SIGNATURE_SIZE + 3)
    serial = chip.stored(_CLOUD_SERIAL, 0, _SERIAL_SIZE + _KEY_ID_SIZE)
    device_id = chip.stored(_CLOUD_DEVICE, 0, _DEVICE_ID_SIZE)
    if key is None or stored is None or serial is None or device_id is None or not _DEVICE_ID.fullmatch(device_id):
        return None
    try:
        begin, years = decode_dates(stored[SIGNATURE_SIZE:], 0, 0)
        subject, issuer = (("CN", device_id.decode()),), _CLOUD_ISSUER
        der = _certificate(
            stored[:SIGNATURE_SIZE], begin, years, serial[:_SERIAL_SIZE], issuer, subject, key, serial[_SERIAL_SIZE:]
        )
    except (CertificateError, ValueError):
        return None
    certificate = FoundCertificate(der, (_CLOUD_SIGNATURE, _CLOUD_SERIAL, _CLOUD_DEVICE))
    return FoundChain(StorageLayout.ARDUINO_CLOUD, (certificate,), _CLOUD_KEY_SLOT, is_signed=None)


def _self_signed(chip: ChipSnapshot, slot: int, content: bytes) -> Iterator[FoundChain]:
    year, month, day, hour, years = content[SIGNATURE_SIZE:]
    name = (("CN", chip.serial_number.hex().upper()),)
    for key_slot, key in chip.public_keys.items():
        try:
            begin = datetime(2000 + year, month, day, hour, tzinfo=UTC)
            der = _certificate(content[:SIGNATURE_SIZE], begin, years, _SELF_SIGNED_SERIAL, name, name, key)
        except (CertificateError, ValueError):
            return
        if is_signed_by(der, key):
            certificate = FoundCertificate(der, (slot,))
            yield FoundChain(StorageLayout.ARDUINO_SELF_SIGNED, (certificate,), key_slot, is_signed=True)


def _certificate(
    signature: bytes,
    begin: datetime,
    years: int,
    serial: bytes,
    issuer: x509.NameParts,
    subject: x509.NameParts,
    key: bytes,
    authority_key_id: bytes = b"",
) -> bytes:
    fields = x509.CertificateFields(
        serial_number=serial,
        issuer=x509.name(issuer, x509.PRINTABLE_STRING),
        not_before=x509.date(begin),
        not_after=x509.date(begin.replace(year=begin.year + years)),
        subject=x509.name(subject, x509.PRINTABLE_STRING),
        public_key=key,
        extensions=(x509.authority_key_id(authority_key_id),) if any(authority_key_id) else (),
    )
    return fields.signed(signature)
