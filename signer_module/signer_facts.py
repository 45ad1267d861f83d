"""What is public of a signer, whether its key is a file or a chip."""

from __future__ import annotations

from typing import Protocol

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.definition import CertificateDefinition


class SignerFacts(Protocol):
    """A signer's identity, certificates (DER) and definitions; public keys are X||Y (64 bytes)."""

    @property
    def name(self) -> str:
        """Common name of the certificate without the signer id."""

    @property
    def signer_id(self) -> bytes:
        """2 bytes."""

    @property
    def certificate(self) -> bytes:
        """DER."""

    @property
    def public_key(self) -> bytes:
        """64 bytes."""

    @property
    def root_certificate(self) -> bytes:
        """DER."""

    @property
    def root_public_key(self) -> bytes:
        """64 bytes."""

    @property
    def signer_definition(self) -> CertificateDefinition:
        """Definition of the signer's own certificate."""

    @property
    def device_definition(self) -> CertificateDefinition:
        """Definition of the certificates that it issues."""

    def cert_info(self, index: int = 0) -> CertInfo:
        """Return what a client needs to know of this signer."""
