"""What will go wrong with a signer one day, said when it comes: dates that end, certificates that outlive others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from atcaprov.certs.dates import DateFormat, parse_date
from atcaprov.certs.definition import CertificateDefinition
from atcaprov.certs.layout import certificate_layout
from atcaprov.errors import CertificateError
from provisioning_server.signers.signer import Signer
from signer_module.early_ends import early_ends, end_of

SOON: Final = timedelta(days=365)
_UTC_TIME: Final = 0x17


def forewarnings(signer: Signer, now: datetime) -> list[str]:
    """Return what somebody should know at the moment `now` (UTC), each to follow the signer's name in a line."""
    definition = signer.documents.device
    warnings = [*_of_password(signer), *_of_definition(definition, now)]
    try:
        begin, end = _validity(signer.documents.signer_certificate)
    except CertificateError:  # of an outside CA, with a date that no chip can hold: not ours to judge
        return warnings
    above = end_of(signer.documents.root_certificate)
    return [*warnings, *_of_certificate(begin, end, now), *early_ends(end, above, definition, now)]


def _of_password(signer: Signer) -> Iterator[str]:
    if signer.password_missing:
        yield (
            "has no password yet: everybody who reaches the module can sign with it. "
            "Set one with 'signer-module password set'."
        )


def _of_definition(definition: CertificateDefinition, now: datetime) -> Iterator[str]:
    first, last = definition.first_issue_year, definition.last_issue_year
    if not first <= now.year <= last:
        yield (
            f"can issue nothing: its certificate definition is for the years {first} to {last}. "
            "Check the clock; if it is right, make a new signer."
        )
    elif datetime(last + 1, 1, 1, tzinfo=UTC) - now < SOON:
        yield f"can issue until the end of {last}, no longer: its definition ends. Make a new signer before."


def _of_certificate(begin: datetime, end: datetime, now: datetime) -> Iterator[str]:
    if now < begin:
        yield f"has a certificate that begins on {begin:%Y-%m-%d}. Check the clock."
    elif now > end:
        yield f"has a certificate that ended on {end:%Y-%m-%d}: nobody accepts what it issues. Make a new signer."
    elif end - now < SOON:
        yield f"has a certificate that ends on {end:%Y-%m-%d}. Make a new signer before."


def _validity(certificate: bytes) -> tuple[datetime, datetime]:
    layout = certificate_layout(certificate)
    pairs = ((layout.issue_date, layout.issue_date_tag), (layout.expire_date, layout.expire_date_tag))
    begin, end = (
        parse_date(span.of(certificate), DateFormat.RFC5280_UTC if tag == _UTC_TIME else DateFormat.RFC5280_GEN)
        for span, tag in pairs
    )
    return begin, end
