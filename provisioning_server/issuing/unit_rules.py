"""Whether a request may have the unit's own name that it brings: by pattern, and as one name belongs to one chip.

The same rules answer the question for the signer, before stage 1, and decide on the request for certificates. A name
belongs to one chip of a product. A server without product profiles cannot tell whether a product is what a client
says, so there `product` is None, and a name belongs to one chip of all.
"""

from __future__ import annotations

from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.wire.messages import CertificatesRequest, ErrorReply, SignerRequest
from provisioning_server import rejections
from provisioning_server.issuing.in_progress import InProgress
from provisioning_server.ledger.store import Known, StoredCertificate


def check_offered_unit(
    definition: CertificateDefinition, request: SignerRequest, known: Known, product: str | None
) -> ErrorReply | None:
    """Return the rejection that the request of a chip would get.

    A client that does not know its chip or the name yet is told nothing of them. An address may be written in any usual
    way: the client asks again with the one of the certificate, which only then is looked up.
    """
    if not request.unit and not request.chip_serial:
        return None
    name = request.unit if definition.unit is None else definition.unit.canonical(request.unit)
    rejected = _broken_rule(definition, name)
    if rejected is not None or not name or name != request.unit or not request.chip_serial:
        return rejected
    return _taken(product, name, request.chip_serial, known)


def check_unit(
    definition: CertificateDefinition,
    request: CertificatesRequest,
    chip_serial: bytes,
    known: Known,
    in_progress: InProgress,
    product: str | None,
) -> ErrorReply | None:
    """Return the rejection of a new certificate, if its name is missing, wrong, or another chip's."""
    rejected = _broken_rule(definition, request.unit)
    if rejected is not None or not request.unit:
        return rejected
    other = in_progress.chip_of_unit(product, request.unit)
    if other not in (None, chip_serial):
        return rejections.unit_taken(request.unit, other)
    return _taken(product, request.unit, chip_serial, known)


def check_stored_unit(request: CertificatesRequest, stored: StoredCertificate) -> ErrorReply | None:
    """Return the rejection of a chip that has a certificate with another name than the one in the request."""
    name = stored.record.origin.unit
    if request.unit == name:
        return None
    return rejections.chip_has_other_unit(name) if request.unit else rejections.UNIT_MISSING


def _broken_rule(definition: CertificateDefinition, unit: str) -> ErrorReply | None:
    rule = definition.unit
    if rule is None:
        return rejections.UNIT_UNEXPECTED if unit else None
    if not unit:
        return rejections.UNIT_MISSING
    broken = rule.broken_rule(unit)
    return None if broken is None else rejections.unit_invalid(unit, broken)


def _taken(product: str | None, unit: str, chip_serial: bytes, known: Known) -> ErrorReply | None:
    """Return a rejection if another chip has the name, or the chip another one; a revoked certificate holds none.

    A certificate that was recovered is of a product that is not known any more: its name counts in all of them.
    """
    holder = known.chip_of_unit(product, unit) or known.chip_of_unit("", unit)
    if holder not in (None, chip_serial):
        return rejections.unit_taken(unit, holder)
    for stored in known.of_chip(chip_serial):
        name = stored.record.origin.unit
        if stored.revoked is None and name not in ("", unit):
            return rejections.chip_has_other_unit(name)
    return None
