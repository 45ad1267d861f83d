"""Issue certificates: patch the template, check it, have the digest signed, and verify the result.

The order is that of docs/reference/certificates.md: keys, dates and ids first, then the serial number, then the check
that a chip's compressed form gives the same bytes, then the digest. A fault is found before anything is signed: what
was signed exists. Nothing is parsed again: a server must reach thousands of certificates a second.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from atcaprov.certs import rebuild as rebuilding
from atcaprov.certs.compressed_form import CompressedCertificate, hashed_dates
from atcaprov.certs.dates import check_issue_date, format_version_for, require_utc
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.keys import SIGNATURE_SIZE, load_issuer_key, load_public_key, verify_digest
from atcaprov.errors import CertificateError, Code


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate and its compressed form (72 bytes), verified to belong together."""

    der: bytes
    compressed: bytes
    serial_number: bytes
    """The content of the serial number's INTEGER."""


class PendingCertificate:
    """A certificate that waits for its signature.

    `unsigned` is the part to be signed (DER TBSCertificate), rebuilt from its compressed form and compared; `digest`
    its SHA-256 (32 bytes); `finish` takes the signature of the issuer's key over that.
    """

    def __init__(
        self,
        definition: CertificateDefinition,
        *,
        subject_public_key: bytes,
        ca_public_key: bytes,
        signer_id: bytes,
        issue_date: datetime,
        chip_serial: bytes | None = None,
        unit: str = "",
    ) -> None:
        """Build the certificate and check it; `unit` is the unit's own name as the certificate has it, if it has one.

        Raises:
            CertificateError: a definition that does not allow issuing, a key that is not a point on P-256, a date that
                the compressed form cannot hold, a missing chip serial number; CERTIFICATE_MISMATCH if a chip's
                compressed form would give another certificate; a unit's name that is missing, not wanted, or breaks
                the definition's rule (unit-missing, unit-unexpected, unit-invalid).
        """
        definition.require_issuable()
        load_public_key(subject_public_key)
        self._definition = definition
        self._subject_public_key = subject_public_key
        self._ca_public_key = ca_public_key
        self._chip_serial = chip_serial
        self._stored = rebuilding.stored_unit(definition, unit)
        load_issuer_key(ca_public_key)
        require_utc(issue_date)
        self._fields = _unsigned(definition, signer_id, issue_date)
        # Packing checks every field, so that nothing is signed that could not be compressed.
        self._packed = self._fields.pack()
        self._certificate = self._patched()
        self.unsigned = self._checked_unsigned()
        self.digest = hashlib.sha256(self.unsigned).digest()

    def _patched(self) -> bytearray:
        definition = self._definition
        certificate = rebuilding.patched_template(
            definition, self._fields, self._subject_public_key, self._ca_public_key
        )
        rebuilding.put_elements(certificate, definition, self._chip_serial, self._stored)
        rebuilding.put_serial(
            certificate,
            definition,
            self._fields.signer_id,
            self._subject_public_key,
            hashed_dates(self._packed),
            self._chip_serial,
        )
        return certificate

    @property
    def serial_number(self) -> bytes:
        """The content of the serial number's INTEGER, for records made before signing."""
        return self._definition.layout.serial_number.of(bytes(self._certificate))

    def _checked_unsigned(self) -> bytes:
        """Return the bytes to be signed, which are also what a reader of the chip rebuilds."""
        unsigned = rebuilding.to_be_signed(self._certificate, self._definition)
        again = rebuilding.rebuild_unsigned(
            self._definition,
            compressed=self._packed,
            public_key=self._subject_public_key,
            ca_public_key=self._ca_public_key,
            chip_serial=self._chip_serial,
            stored=self._stored,
        )
        if again != unsigned:
            raise _mismatch("The certificate rebuilt from its compressed form is not the one that would be signed.")
        return unsigned

    def finish(self, signature: bytes) -> IssuedCertificate:
        """Return the certificate with R||S (64 bytes).

        Verifies the signature under the issuer's key, and compares what the certificate says with the bytes that were
        checked. Raises CertificateError (key-mismatch, certificate-mismatch) instead of returning a bad one.
        """
        if not verify_digest(self._ca_public_key, self.digest, signature):
            raise CertificateError(
                "The signature does not verify under the issuer's public key.",
                advice="The signer's key and its certificate do not belong together.",
                code=Code.KEY_MISMATCH,
            )
        der = rebuilding.with_signature(bytearray(self._certificate), self._definition, signature)
        if rebuilding.to_be_signed(der, self._definition) != self.unsigned:
            raise _mismatch("The signed certificate does not say what was checked before it was signed.")
        serial_number = self._definition.layout.serial_number.of(der)
        return IssuedCertificate(der, signature + self._packed[SIGNATURE_SIZE:], serial_number)


def issue(
    definition: CertificateDefinition,
    *,
    subject_public_key: bytes,
    ca_public_key: bytes,
    signer_id: bytes,
    issue_date: datetime,
    chip_serial: bytes | None = None,
    unit: str = "",
    sign: Callable[[bytes], bytes],
) -> IssuedCertificate:
    """Issue a certificate in one call; `sign` takes the 32-byte digest and returns R||S. Errors as in the class."""
    pending = PendingCertificate(
        definition,
        subject_public_key=subject_public_key,
        ca_public_key=ca_public_key,
        signer_id=signer_id,
        issue_date=issue_date,
        chip_serial=chip_serial,
        unit=unit,
    )
    return pending.finish(sign(pending.digest))


def _mismatch(what: str) -> CertificateError:
    return CertificateError(
        what,
        advice="It was not issued. The certificate definition is wrong.",
        code=Code.CERTIFICATE_MISMATCH,
    )


@functools.lru_cache(maxsize=64)
def _unsigned(definition: CertificateDefinition, signer_id: bytes, issue_date: datetime) -> CompressedCertificate:
    """Return the compressed form without its signature, which is the same for all of a signer in one hour.

    Only dates in UTC may come here: equal moments of two time zones are one key of the cache.
    """
    version = format_version_for(issue_date.year, definition.expire_years)
    _check_date(definition, issue_date, version)
    return CompressedCertificate(
        signature=bytes(SIGNATURE_SIZE),
        issue_date=issue_date,
        expire_years=definition.expire_years,
        signer_id=signer_id,
        template_id=definition.template_id,
        chain_id=definition.chain_id,
        sn_source=definition.sn_source,
        format_version=version,
    )


def _check_date(definition: CertificateDefinition, issue_date: datetime, version: int) -> None:
    check_issue_date(issue_date, max(version, definition.format_version))
    if not definition.first_issue_year <= issue_date.year <= definition.last_issue_year:
        raise CertificateError(
            f"Certificates of the definition {definition.name} are issued from {definition.first_issue_year} to "
            f"{definition.last_issue_year}, not in {issue_date.year}.",
            advice="Check the clock. If it is right, make a new definition; its dates have another format.",
            code=Code.DEFINITION_INVALID,
        )
    if definition.expire_years and (issue_date.month, issue_date.day) == (2, 29):
        raise CertificateError(
            "Certificates with limited validity are not issued with the date of 29 February.",
            advice="Use definition.issue_date(now), which takes 28 February instead.",
        )
