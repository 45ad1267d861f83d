"""What a signer's certificate definitions are made of, wherever its key is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from atcaprov.certs.definition import CertificateDefinition, SerialSource, StdElement
from atcaprov.certs.description import CertificateDescription
from atcaprov.certs.template import device_definition, signer_definition


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
