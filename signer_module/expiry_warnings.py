"""Warnings about dates that end: for `signer-module` and for the server, each the rest of a sentence about a signer.

A chain is valid as long as every certificate in it, so a certificate that outlives the one above it ends with that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from atcaprov.certs.dates import expire_date, format_version_for
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.limited_readers import end_text, not_accepted_by
from signer_module.signer_description import PublicSigner

_LAST_YEAR: Final = 9999
_SOON: Final = timedelta(days=365)
"""How long before an end a warning begins."""


def end_of(certificate: bytes) -> datetime:
    """Return notAfter of a certificate (DER), in UTC."""
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc


def end_from(definition: CertificateDefinition, at: datetime) -> datetime:
    """Return notAfter of a certificate that is issued at the moment `at`."""
    return expire_date(definition.issue_date(at), definition.expire_years, definition.expire_date_format)


def outliving(end: datetime, above: datetime, device: CertificateDefinition, at: datetime) -> Iterator[str]:
    """Yield the warnings of a signer whose certificate is valid until `end`, the shortest one above it until `above`.

    Each follows the signer's name in a sentence; `device` is the definition of what it issues at the moment `at`.
    """
    if end > above:
        lasts = "never expires" if end.year == _LAST_YEAR else f"is valid until {end:%Y-%m-%d}"
        yield f"has a certificate that {lasts}, but its CA's expires on {above:%Y-%m-%d}. It becomes invalid then."
    device_end = end_from(device, at)
    if device_end > end:
        these = "never expire" if device_end.year == _LAST_YEAR else f"are valid until {device_end:%Y-%m-%d}"
        yield f"issues certificates that {these}, but its own expires on {end:%Y-%m-%d}. They become invalid then."


def of_signer(signer: PublicSigner, at: datetime, authorities: Iterable[bytes] = ()) -> list[str]:
    """Return the warnings for a new signer; `authorities` are the certificates (DER) above its issuer's."""
    above = min(map(end_of, (signer.root_certificate, *authorities)))
    return list(outliving(end_of(signer.certificate), above, signer.device_definition, at))


def readers_refusing(end: datetime, signer: CertificateDefinition, device: CertificateDefinition, at: datetime) -> str:
    """Return the names of programs that refuse the chain of a signer or of what it issues at the moment `at`.

    `end` is notAfter of the signer's certificate. An empty string: no such program is known.
    """
    versions = [format_version_for(at.year, definition.expire_years) for definition in (signer, device)]
    return ", ".join(not_accepted_by([end, end_from(device, at)], versions))


def reader_note(end: datetime, signer: CertificateDefinition, device: CertificateDefinition, at: datetime) -> list[str]:
    """Return the line for people about programs that refuse a chain; none if no such program is known."""
    names = readers_refusing(end, signer, device, at)
    ends = f"The signer's certificate has {_end(end)}, and those of its devices have {_end(end_from(device, at))}"
    return [f"Note: {ends}. Not accepted by: {names}."] if names else []


def _end(end: datetime) -> str:
    return end_text(end) if end.year == _LAST_YEAR else f"the end {end_text(end)}"


def of_definition(definition: CertificateDefinition, now: datetime) -> Iterator[str]:
    """Yield the warnings about a definition that cannot issue at the moment `now` (UTC) or a year later."""
    first, last = definition.first_issue_year, definition.last_issue_year
    if not first <= now.year <= last:
        yield (
            f"can issue nothing: its certificate definition is for the years {first} to {last}, and the clock says "
            f"{_moment(now)}. Correct the clock; if it is right, make a new signer."
        )
    elif datetime(last + 1, 1, 1, tzinfo=UTC) - now < _SOON:
        yield f"can issue only until the end of {last}: its definition ends then. Make a new signer before then."


def of_certificate(begin: datetime, end: datetime, now: datetime) -> Iterator[str]:
    """Yield the warnings about a signer certificate that is not valid at the moment `now` (UTC) or a year later."""
    if now < begin:
        says = f"and the clock says {_moment(now)}. Correct the clock."
        yield f"can issue nothing: its certificate is valid only from {_moment(begin)}, {says}"
    elif now > end:
        yield (
            f"can issue nothing: its certificate expired on {end:%Y-%m-%d}, and the clock says {_moment(now)}. "
            "Correct the clock; if it is right, make a new signer."
        )
    elif end - now < _SOON:
        yield f"has a certificate that expires on {end:%Y-%m-%d}. Make a new signer before then."


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
