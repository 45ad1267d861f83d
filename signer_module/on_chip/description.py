"""What a signer module says of its certificates, in the few bytes that it has.

The definitions themselves do not fit; they are made again from the descriptions, which always gives the same bytes, and
compared with a digest, so that a program that would make others says so instead of issuing.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from cryptography import x509

from atcaprov.certs.chain import verify_issuer
from atcaprov.certs.definition import CertificateDefinition, SerialSource, StdElement
from atcaprov.certs.description import CertificateDescription
from atcaprov.certs.description_document import description_document
from atcaprov.certs.keys import key_id
from atcaprov.certs.template import device_definition, signer_definition
from atcaprov.errors import AtcaProvError, CertificateError, Code, UsageError
from signer_module.on_chip import description_packing
from signer_module.on_chip.layout import DESCRIPTION_SIZE

_DIGEST_SIZE: Final = 16


@dataclass(frozen=True)
class SignerDocument:
    """The description of a signer module.

    `year` is that of the signer certificate, which settles the date formats; `serial` is the content of its serial
    number if an outside CA chose it, None if it follows from key and dates.
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
            signer = with_stored_serial(signer, self.serial)
        return signer, device_definition(self.device, signer=self.signer, at=at)

    def pack(self, root_public_key: bytes) -> bytes:
        """Return the bytes for the module, of whose root key (64 bytes) the reader knows already.

        Raises UsageError (definition-invalid) when a module has not enough room for them.
        """
        contents = [
            self.root_certificate,
            description_document(self.signer),
            description_document(self.device),
            self.year,
            self.serial,
            _digest(self.definitions()),
        ]
        return fitting(description_packing.pack(contents, known_root(root_public_key)))

    @classmethod
    def unpack(cls, data: bytes, root_public_key: bytes) -> Self:
        """Read `pack`; raises CertificateError, module-invalid unless the root certificate is not of its key."""
        try:
            root, signer, device, year, serial, digest = description_packing.unpack(data, known_root(root_public_key))
            verify_issuer(root, root_public_key)  # before a parser that trusts sees it
            found = cls(
                root,
                CertificateDescription.from_document(signer),
                CertificateDescription.from_document(device),
                year,
                serial,
            )
            same = _digest(found.definitions()) == digest
        except CertificateError:
            raise
        except (AtcaProvError, ValueError, TypeError, KeyError, OverflowError) as error:
            raise invalid("its description is not that of a signer") from error
        if not same:
            raise invalid("this program makes other certificate definitions of it than the one that wrote it")
        return found


def pack_root(certificate: bytes, public_key: bytes) -> bytes:
    """Return the description of a root module: its certificate (DER)."""
    return fitting(description_packing.pack([certificate], known_root(public_key)))


def unpack_root(data: bytes, public_key: bytes) -> bytes:
    """Read `pack_root`; raises CertificateError (module-invalid)."""
    contents = description_packing.unpack(data, known_root(public_key))
    if not isinstance(contents, list) or len(contents) != 1 or not isinstance(contents[0], bytes):
        raise invalid("its description is not that of a root")
    return contents[0]


def known_root(public_key: bytes) -> bytes:
    """Return what a reader knows of the root before it unpacks."""
    return public_key + key_id(public_key)


def fitting(description: bytes) -> bytes:
    """Return a description that fits a module; raises UsageError (definition-invalid) that says by how much not."""
    if len(description) > DESCRIPTION_SIZE:
        raise UsageError(
            "The issuer's certificate and the descriptions are too long for the module: "
            f"it has {DESCRIPTION_SIZE} bytes for them, and {len(description)} are needed.",
            advice="Shorten the names in the certificate descriptions, or take an issuer with a smaller certificate.",
            code=Code.DEFINITION_INVALID,
        )
    return description


def with_stored_serial(definition: CertificateDefinition, serial: bytes) -> CertificateDefinition:
    """Return the definition with a fixed serial number in its template."""
    location = definition.element(StdElement.CERT_SN)
    template = definition.cert_template
    template = template[: location.offset] + serial + template[location.end :]
    return dataclasses.replace(definition, sn_source=SerialSource.STORED, cert_template=template)


def _digest(definitions: tuple[CertificateDefinition, CertificateDefinition]) -> bytes:
    return hashlib.sha256(b"".join(each.to_bytes() for each in definitions)).digest()[:_DIGEST_SIZE]


def invalid(why: str) -> CertificateError:
    """Return the error of a module whose description contradicts itself."""
    return CertificateError(f"The signer module is not usable: {why}.", code=Code.MODULE_INVALID)
