"""Warnings about a signer that is plugged in: dates that end, certificates that outlive others, no password."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from provisioning_server.signers.signer import Signer
from signer_module.expiry_warnings import end_of, of_certificate, of_definition, outliving


def signer_warnings(signer: Signer, now: datetime) -> list[str]:
    """Return the warnings at the moment `now` (UTC), each to follow the signer's name in a line."""
    definition = signer.documents.device
    warnings = [*_of_password(signer), *of_definition(definition, now)]
    if signer.documents.validity is None:
        return warnings
    begin, end = signer.documents.validity
    above = end_of(signer.documents.root_certificate)
    return [*warnings, *of_certificate(begin, end, now), *outliving(end, above, definition, now)]


def _of_password(signer: Signer) -> Iterator[str]:
    if signer.password_missing:
        yield (
            "has no password yet: everyone who reaches the module can sign with it. "
            "Set one with 'signer-module password set'."
        )
