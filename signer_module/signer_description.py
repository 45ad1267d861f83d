"""A signer, wherever its key is: what is public of it, and the descriptions that its certificates follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.definitions.definition import CertificateDefinition, SerialSource, StdElement
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.errors import CertificateError, Code, UsageError


class PublicSigner(Protocol):
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


@dataclass(frozen=True)
class SignerDescriptions:
    """What a signer's own certificate and those of its devices look like."""

    signer: CertificateDescription
    device: CertificateDescription

    def __post_init__(self) -> None:
        """Raise UsageError (definition-invalid) when the two make something useless together."""
        signer, device = self.signer, self.device
        if (signer.template_id, signer.name.upper()) == (device.template_id, device.name.upper()):
            raise UsageError(
                "Signer and device have the same name and template id: their definitions in C would be one file.",
                advice="Give one of the descriptions another name.",
                code=Code.DEFINITION_INVALID,
            )
        own = signer.extensions.extended_usage_ids
        if own and not usages_allowed(own, device):
            raise UsageError(
                "The signer's extended key usage does not include that of its devices.",
                advice="Remove extended_key_usage from the signer's description, or add all of the device's.",
                code=Code.DEFINITION_INVALID,
            )


@dataclass(frozen=True)
class SignerDocument:
    """The issuer's certificate (DER), and the descriptions of the signer's own certificate and of its devices'.

    `year` is that of the signer certificate, which settles the date formats; `serial` is the content of its serial
    number if an external CA chose it, None if it follows from key and dates.
    """

    root_certificate: bytes
    signer: CertificateDescription
    device: CertificateDescription
    year: int
    serial: bytes | None = None

    def definitions(self) -> tuple[CertificateDefinition, CertificateDefinition]:
        """Return the definitions of the signer's own certificate and of its devices'; raises UsageError."""
        at = datetime(self.year, 1, 1, tzinfo=UTC)
        root = x509.load_der_x509_certificate(self.root_certificate).subject
        description = self.signer
        if self.serial is not None:
            description = dataclasses.replace(description, serial_size=len(self.serial))
        signer = signer_definition(description, root_name=root, at=at)
        if self.serial is not None:
            signer = _with_stored_serial(signer, self.serial)
        return signer, device_definition(self.device, signer=self.signer, at=at)


def _with_stored_serial(definition: CertificateDefinition, serial: bytes) -> CertificateDefinition:
    """Return the definition with a fixed serial number in its template."""
    location = definition.element(StdElement.CERT_SN)
    template = definition.cert_template
    template = template[: location.offset] + serial + template[location.end :]
    return dataclasses.replace(definition, sn_source=SerialSource.STORED, cert_template=template)


def usages_allowed(allowed: Collection[x509.ObjectIdentifier], device: CertificateDescription) -> bool:
    """Tell whether a CA with these extended key usages may stand above devices of a description."""
    wanted = set(device.extensions.extended_usage_ids)
    return ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed or wanted <= set(allowed)


def require_usages(authority: x509.Certificate, device: CertificateDescription) -> None:
    """Raise CertificateError (chain-invalid) when the extended key usage of a CA rules out that of devices under it.

    RFC 5280 leaves open what it means in a CA's certificate; OpenSSL and others refuse the chain.
    """
    try:
        allowed = authority.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usages_allowed(list(allowed), device):
        raise CertificateError(
            f"The extended key usage of the CA {authority.subject.rfc4514_string()} does not include that of the"
            " devices: their certificates would be rejected.",
            advice="Use a CA without extended key usage, or with all of the device's.",
            code=Code.CHAIN_INVALID,
        )
