"""Lint a certificate with pkilint, if it is installed, and with checks of ours for what it does not look at.

pkilint (RFC 5280) reads a key as bytes: it does not ask whether the point is on the curve, nor whether the key
identifiers are those of the keys. Done once for each profile, never for each certificate: pkilint takes half a second
to load and some milliseconds for a certificate.
"""

from __future__ import annotations

import enum
import functools
import importlib.util
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from atcaprov.certs.keys import key_id, load_public_key
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import CertificateError
from atcaprov.terminal.printable import printable

_URN: Final = re.compile(r'"urn:[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]:[^"]+"')
"""RFC 8141. pkilint knows URLs only, and calls every other URI invalid."""


class Severity(enum.IntEnum):
    """How serious a finding is, with the numbers of pkilint: the smaller, the worse."""

    FATAL = 0
    ERROR = 1
    WARNING = 2
    NOTICE = 3
    INFO = 4


REFUSED_FROM: Final = Severity.ERROR
"""A profile with a finding of this severity, or a worse one, is refused."""
WARNED_FROM: Final = Severity.NOTICE


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One finding: its code in pkilint, or one of ours, and where in the certificate."""

    severity: Severity
    code: str
    message: str
    place: str = ""

    def __str__(self) -> str:
        at = f" at {self.place}" if self.place else ""
        return f"{self.severity.name.lower()} {self.code}{at}: {self.message or 'see the documentation of pkilint'}"


def has_pkilint() -> bool:
    """Tell whether the package is installed."""
    return importlib.util.find_spec("pkilint") is not None


def lint_certificate(certificate: bytes, issuer_public_key: bytes) -> list[LintFinding]:
    """Return what is wrong with a certificate (DER) by the key X||Y (64 bytes), the worst first; without pkilint less.

    Raises:
        CertificateError: these are not a certificate with a P-256 key.
    """
    found = [*_key_findings(certificate, issuer_public_key)]
    if has_pkilint():
        found += _pkilint_findings(certificate)
    return sorted((each for each in found if each.severity <= WARNED_FROM), key=lambda each: each.severity)


def _key_findings(certificate: bytes, issuer_public_key: bytes) -> Iterator[LintFinding]:
    layout = certificate_layout(certificate)
    key = layout.public_key.of(certificate)
    try:
        load_public_key(key)
    except CertificateError:
        yield LintFinding(Severity.ERROR, "atcaprov.key_not_on_curve", "the public key is not a point of P-256")
    own = None if layout.subject_key_id is None else layout.subject_key_id.of(certificate)
    if own not in (None, key_id(key)):
        yield LintFinding(
            Severity.ERROR, "atcaprov.subject_key_id_other", "the subject key identifier is not that of the public key"
        )
    authority = None if layout.authority_key_id is None else layout.authority_key_id.of(certificate)
    if authority not in (None, key_id(issuer_public_key)):
        yield LintFinding(
            Severity.ERROR, "atcaprov.authority_key_id_other", "the authority key identifier is not that of the issuer"
        )


def _pkilint_findings(certificate: bytes) -> Iterator[LintFinding]:
    from pkilint.loader import RFC5280CertificateDocumentLoader

    try:
        document = RFC5280CertificateDocumentLoader().load_der_document(certificate, "certificate")
    except ValueError as error:
        yield LintFinding(Severity.FATAL, "pkilint.unreadable", printable(str(error)))
        return
    for result in _validator().validate(document.root):
        for described in result.finding_descriptions:
            finding = LintFinding(
                Severity(int(described.finding.severity)),
                str(described.finding.code),
                printable(str(described.message or "")),
                str(result.node.path),
            )
            if not _is_mistaken(finding):
                yield finding


def _is_mistaken(finding: LintFinding) -> bool:
    return finding.code == "pkix.invalid_uri_syntax" and bool(_URN.search(finding.message))


@functools.cache
def _validator() -> Any:
    """Return pkilint's checks of RFC 5280; pkilint has no types."""
    from pkilint.pkix import certificate, extension, name

    logging.getLogger("pkilint").disabled = True  # what a check of it cannot read is a finding, too
    logging.getLogger("pkilint.validation").disabled = True
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
