"""Warnings about a signer that is plugged in: dates that end, certificates that outlive others, no password."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from atcaprov.certs.definitions.definition import CertificateDefinition
from provisioning_server.refusals import moment
from provisioning_server.signers.signer import Signer
from signer_module.expiry_warnings import early_ends, end_of

SOON: Final = timedelta(days=365)


def expiry_warnings(signer: Signer, now: datetime) -> list[str]:
    """Return the warnings at the moment `now` (UTC), each to follow the signer's name in a line."""
    definition = signer.documents.device
    warnings = [*_of_password(signer), *_of_definition(definition, now)]
    if signer.documents.validity is None:
        return warnings
    begin, end = signer.documents.validity
    above = end_of(signer.documents.root_certificate)
    return [*warnings, *_of_certificate(begin, end, now), *early_ends(end, above, definition, now)]


def _of_password(signer: Signer) -> Iterator[str]:
    if signer.password_missing:
        yield (
            "has no password yet: everyone who reaches the module can sign with it. "
            "Set one with 'signer-module password set'."
        )


def _of_definition(definition: CertificateDefinition, now: datetime) -> Iterator[str]:
    first, last = definition.first_issue_year, definition.last_issue_year
    if not first <= now.year <= last:
        yield (
            f"can issue nothing: its certificate definition is for the years {first} to {last}, and the clock says "
            f"{moment(now)}. Correct it; if it is right, make a new signer."
        )
    elif datetime(last + 1, 1, 1, tzinfo=UTC) - now < SOON:
        yield f"can issue only until the end of {last}: its definition ends then. Make a new signer before."


def _of_certificate(begin: datetime, end: datetime, now: datetime) -> Iterator[str]:
    if now < begin:
        says = f"and the clock says {moment(now)}. Correct it."
        yield f"can issue nothing: it has a certificate that begins on {moment(begin)}, {says}"
    elif now > end:
        yield (
            f"can issue nothing: it has a certificate that ended on {end:%Y-%m-%d}, and the clock says {moment(now)}. "
            "Correct it; if it is right, make a new signer."
        )
    elif end - now < SOON:
        yield f"has a certificate that ends on {end:%Y-%m-%d}. Make a new signer before."
