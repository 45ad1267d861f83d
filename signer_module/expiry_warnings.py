"""Certificates that outlive the one above them: with that they end too, since a chain holds as long as all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from cryptography import x509

from atcaprov.certs.dates import expire_date
from atcaprov.certs.definitions.definition import CertificateDefinition
from signer_module.signer_description import PublicSigner

_LAST_YEAR: Final = 9999


def end_of(certificate: bytes) -> datetime:
    """Return notAfter of a certificate (DER), in UTC."""
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc


def end_from(definition: CertificateDefinition, at: datetime) -> datetime:
    """Return notAfter of a certificate that is issued at the moment `at`."""
    return expire_date(definition.issue_date(at), definition.expire_years, definition.expire_date_format)


def early_ends(end: datetime, above: datetime, device: CertificateDefinition, at: datetime) -> Iterator[str]:
    """Yield what to know of a signer whose certificate lasts until `end`, the shortest one above it until `above`.

    Each follows the signer's name in a sentence; `device` is the definition of what it issues at the moment `at`.
    """
    if end > above:
        lasts = "has no end" if end.year == _LAST_YEAR else f"lasts until {end:%Y-%m-%d}"
        yield f"has a certificate that {lasts}, its CA's ends on {above:%Y-%m-%d}: with that it ends too."
    device_end = end_from(device, at)
    if device_end > end:
        these = "have no end" if device_end.year == _LAST_YEAR else f"last until {device_end:%Y-%m-%d}"
        yield f"issues certificates that {these}, its own ends on {end:%Y-%m-%d}: with it they end too."


def of_signer(signer: PublicSigner, at: datetime, authorities: Iterable[bytes] = ()) -> list[str]:
    """Return them for a signer that is made; `authorities` are the certificates (DER) above its issuer's."""
    above = min(map(end_of, (signer.root_certificate, *authorities)))
    return list(early_ends(end_of(signer.certificate), above, signer.device_definition, at))
