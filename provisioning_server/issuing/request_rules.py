"""What a request must hold before anything is signed for it, whoever signs."""

from __future__ import annotations

from collections.abc import Sequence

from atcaprov.certs.keys import load_public_key
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCKED
from atcaprov.device.zones.config_zone import differing_bytes
from atcaprov.errors import CertificateError, Code
from atcaprov.wire.messages import CertificatesRequest, ErrorReply
from provisioning_server import refusals

_UNIQUE = slice(2, 8)
"""The part of a serial number that differs from chip to chip (public data sheet of the ATECC508A, section 2.2.6)."""
_NONE = (b"\x00" * 6, b"\xff" * 6)


def of_a_locked_chip(request: CertificatesRequest, chip_serial: bytes) -> ErrorReply | None:
    """Return why a request is not of a chip whose configuration is locked, None if it is."""
    if chip_serial[_UNIQUE] in _NONE:
        return refusals.NO_SERIAL
    if request.config_zone[LOCK_CONFIG] != LOCKED:
        return refusals.NOT_LOCKED
    return None


def of_a_product(config_zone: bytes, zones: Sequence[bytes]) -> ErrorReply | None:
    """Return why a configuration is none of the products' (128 bytes each), None if it is or no product is set."""
    differing = [differing_bytes(config_zone, zone) for zone in zones]
    if not differing or [] in differing:
        return None
    return refusals.other_configuration(min(differing, key=len))


def of_a_point(request: CertificatesRequest) -> ErrorReply | None:
    """Return why the key is no point of P-256, None if it is."""
    try:
        load_public_key(request.public_key)
    except CertificateError as error:
        return refusals.refusal(error, code=Code.REQUEST_INVALID)
    return None
