"""Check what a log says of revocations: each names a certificate, and each list has what was revoked before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.keys import load_public_key
from provisioning_server.audit.findings import AuditReport
from provisioning_server.ledger.administration import CrlIssued, Revoked
from provisioning_server.ledger.changes import Issued

_MEANWHILE: Final = timedelta(minutes=1)
"""Servers of one ledger have clocks that differ a little: what was revoked just before a list may not be in it."""
_UNSPECIFIED: Final = "unspecified"
ReadCertificate = Callable[[int, int], Issued | None]
"""Takes the index of an entry and that of one before it; returns the certificate that stands there."""


class RevocationCheck:
    """Takes revocations and lists in the order of the log. Its memory grows with the revocations."""

    def __init__(self, report: AuditReport, certificate: ReadCertificate) -> None:
        self._report = report
        self._certificate = certificate
        self._signers: dict[bytes, tuple[bytes, bytes]] = {}
        self._revoked: dict[int, Revoked] = {}
        self._numbers: dict[bytes, int] = {}

    def know(self, signer_serial: bytes, public_key: bytes, certificate: bytes) -> None:
        """Remember the key (64 bytes) and the certificate (DER) of a signer whose certificates are in the log."""
        self._signers.setdefault(signer_serial, (public_key, certificate))

    def take_revoked(self, index: int, revoked: Revoked) -> None:
        """Check that a revocation is that of a certificate before it, and the first one of it."""
        issued = self._certificate(index, revoked.certificate_index)
        named = (revoked.chip_serial, revoked.signer_serial, revoked.certificate_serial)
        record = None if issued is None else issued.record
        if record is None or (record.chip_serial, record.signer_serial, record.certificate_serial) != named:
            self._report.find("revocation-without-certificate", "The revocation is of no earlier certificate.", index)
        elif revoked.certificate_index in self._revoked:
            self._report.find("revoked-twice", "The certificate was revoked before.", index)
        else:
            self._revoked[revoked.certificate_index] = revoked

    def take_list(self, index: int, issued: CrlIssued) -> None:
        """Check a list: its signature, its number, and that its entries are what the log says."""
        try:
            crl = x509.load_der_x509_crl(issued.crl)
            problem = self._problem(issued, crl)
        except (ValueError, *UNREADABLE):
            problem = "it cannot be read"
        if problem:
            self._report.find("crl-invalid", f"The list of revoked certificates is wrong: {problem}.", index)
        self._numbers[issued.signer_serial] = max(issued.number, self._numbers.get(issued.signer_serial, 0))

    def _problem(self, issued: CrlIssued, crl: x509.CertificateRevocationList) -> str:
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        if number != issued.number or number <= self._numbers.get(issued.signer_serial, 0):
            return f"its number {number} does not follow"
        signer = self._signers.get(issued.signer_serial)
        if signer is None:
            self._report.counts["revocation lists of unknown signers"] += 1
        elif not _is_signed(crl, *signer):
            return "it is not signed by its signer"
        return self._differing_entry(issued, crl)

    def _differing_entry(self, issued: CrlIssued, crl: x509.CertificateRevocationList) -> str:
        listed = {each.serial_number: (each.revocation_date_utc, _reason(each)) for each in crl}
        for index, revoked in self._revoked.items():
            if revoked.signer_serial != issued.signer_serial:
                continue
            found = listed.pop(int.from_bytes(revoked.certificate_serial, "big"), None)
            if found is None and self._must_be_listed(issued, index, revoked):
                return f"the certificate of entry {index} is missing"
            if found not in (None, (revoked.time, revoked.reason)):
                return f"the certificate of entry {index} was revoked at another time or for another reason"
        return f"it has {len(listed)} certificates that were not revoked before it" if listed else ""

    def _must_be_listed(self, issued: CrlIssued, index: int, revoked: Revoked) -> bool:
        """Return whether a certificate was revoked before a list was made, and had not expired by then."""
        if revoked.time > issued.time - _MEANWHILE:
            return False
        found = self._certificate(index + 1, index)
        return found is None or _end(found.record.certificate) >= issued.time


def _is_signed(crl: x509.CertificateRevocationList, public_key: bytes, certificate: bytes) -> bool:
    key: ec.EllipticCurvePublicKey = load_public_key(public_key)
    issuer = x509.load_der_x509_certificate(certificate).subject
    return crl.issuer == issuer and crl.is_signature_valid(key)


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return _UNSPECIFIED


def _end(certificate: bytes) -> datetime:
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc
