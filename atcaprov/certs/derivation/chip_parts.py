"""Find what a chip supplies in the names and extensions of a certificate: its serial number, and texts of its slots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from atcaprov.certs.definitions.checks import SERIAL_LOCATIONS
from atcaprov.certs.definitions.definition import (
    CertElement,
    CertificateDefinition,
    CertLocation,
    DeviceLocation,
    DeviceZone,
    Transform,
)
from atcaprov.certs.x509_layout import CertificateLayout, Span
from atcaprov.chip.memory_map import SERIAL_SIZE

_TEXT_OF_SERIAL: Final = re.compile(rb"(?<![0-9A-Fa-f])(?:0123[0-9A-F]{14}|0123[0-9a-f]{14})(?![0-9A-Fa-f])")
"""Serial numbers of Microchip's parts begin with 0123."""
_TRANSFORMS: Final = (Transform.BIN2HEX_UC, Transform.BIN2HEX_LC, Transform.NONE)


@dataclass(frozen=True)
class StoredText:
    """Bytes of a data slot, or of the OTP zone, that the certificate repeats, such as an address in a name."""

    slot: int | None
    """None: the OTP zone."""
    offset: int
    data: bytes

    @property
    def location(self) -> DeviceLocation:
        """Where it is on the chip."""
        zone = DeviceZone.OTP if self.slot is None else DeviceZone.DATA
        return DeviceLocation(zone, self.slot or 0, False, self.offset, len(self.data))

    @property
    def name(self) -> str:
        """Name of the place, for the id of an element."""
        return f"otp_{self.offset}" if self.slot is None else f"slot_{self.slot}_{self.offset}"


def serial_in_names(certificate: bytes, layout: CertificateLayout) -> bytes | None:
    """Return the chip's serial number (9 bytes) that the subject or an extension shows as text, if one does."""
    found = {bytes.fromhex(match.decode()) for span in _spans(layout) for match in _texts(certificate, span)}
    return found.pop() if len(found) == 1 else None


def _texts(certificate: bytes, span: Span) -> list[bytes]:
    return _TEXT_OF_SERIAL.findall(certificate, span.start, span.end)


def _spans(layout: CertificateLayout) -> list[Span]:
    return [layout.subject, *([layout.extensions] if layout.extensions else [])]


def serial_elements(certificate: bytes, layout: CertificateLayout, chip_serial: bytes) -> Iterator[CertElement]:
    """Yield the elements for each place where the chip's serial number stands, whole, in one of the usual forms."""
    number = 0
    for span in _spans(layout):
        for position, transform in sorted(_places(certificate, span, chip_serial)):
            yield from _two_elements(number, position, transform)
            number += 1


def _places(certificate: bytes, span: Span, chip_serial: bytes) -> Iterator[tuple[int, Transform]]:
    written = {transform: _written(chip_serial, transform) for transform in _TRANSFORMS}
    for transform, text in written.items():
        for match in re.finditer(re.escape(text), span.of(certificate)):
            yield span.start + match.start(), transform


def _written(data: bytes, transform: Transform) -> bytes:
    match transform:
        case Transform.BIN2HEX_UC:
            return data.hex().upper().encode()
        case Transform.BIN2HEX_LC:
            return data.hex().encode()
        case _:
            return data


def _two_elements(number: int, position: int, transform: Transform) -> Iterator[CertElement]:
    """Yield the two parts, which the configuration zone keeps apart."""
    size = 1 if transform is Transform.NONE else 2
    for offset, count in SERIAL_LOCATIONS:
        location = DeviceLocation(DeviceZone.CONFIG, 0, False, offset, count)
        place = CertLocation(position, size * count)
        yield CertElement(f"chip_serial_{number}_{offset}", location, place, (transform, Transform.NONE))
        position += size * count


def text_elements(certificate: bytes, layout: CertificateLayout, text: StoredText) -> list[CertElement]:
    """Return the elements for each place where bytes of a slot stand: in names and extensions, or as a whole date."""
    positions = [
        span.start + match.start()
        for span in _spans(layout)
        for match in re.finditer(re.escape(text.data), span.of(certificate))
    ]
    positions += [span.start for span in (layout.issue_date, layout.expire_date) if span.of(certificate) == text.data]
    return [
        CertElement(f"{text.name}_{number}", text.location, CertLocation(position, len(text.data)))
        for number, position in enumerate(positions)
    ]


def serial_at(definition: CertificateDefinition, certificate: bytes) -> bytes | None:
    """Return the chip's serial number that a certificate has where a definition has it; None if it has none."""
    parts: dict[int, bytes] = {}
    for element in definition.elements_of_chip_serial:
        text = certificate[element.cert_loc.offset : element.cert_loc.end]
        try:
            data = text if element.transforms[0] is Transform.NONE else bytes.fromhex(text.decode("ascii"))
        except ValueError:
            return None
        parts.setdefault(element.device_loc.offset, data)
    serial = b"".join(parts.get(offset, b"") for offset, _ in SERIAL_LOCATIONS)
    return serial if len(serial) == SERIAL_SIZE else None
