"""A root and a signer in memory, made for one trial, with the certificate definitions of a real signer.

What it issues is on no chip and in no record; nothing of it reaches the real server.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.issue import IssuedCertificate, issue
from atcaprov.certs.keys import raw_public_key, raw_signature
from atcaprov.certs.rebuild import SlotContent, slot_contents
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import CertificateError
from atcaprov.provisioning.signer_offer import SignerOffer

_SIGNER_ID: Final = bytes.fromhex("0034")


class TrialSigner:
    """A signer with keys in memory, under a root with a key in memory, for the definitions of a product."""

    def __init__(self, device: CertificateDefinition, signer: CertificateDefinition, signer_id: bytes) -> None:
        self.device_definition = device
        self.signer_definition = signer
        self.signer_id = signer_id
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())

    @classmethod
    def like(cls, offer: SignerOffer) -> Self:
        """Return a signer that issues what the signer of an offer does, with its signer id; raises CertificateError."""
        return cls(offer.device_definition, offer.signer_definition, _signer_id(offer.signer_certificate))

    @classmethod
    def default(cls) -> Self:
        """Return a signer with the default certificate descriptions."""
        signer, device, root = (default_description(role) for role in ("signer", "device", "root"))
        now = datetime.now(UTC)
        definition = signer_definition(signer, root_name=root.subject_name(), at=now)
        return cls(device_definition(device, signer=signer, at=now), definition, _SIGNER_ID)

    @property
    def public_key(self) -> bytes:
        """X||Y, 64 bytes."""
        return raw_public_key(self._key.public_key())

    @property
    def root_public_key(self) -> bytes:
        """X||Y, 64 bytes."""
        return raw_public_key(self._root_key.public_key())

    @cached_property
    def certificate(self) -> IssuedCertificate:
        """The signer certificate, issued by the root."""
        definition = self.signer_definition
        return issue(
            definition,
            subject_public_key=self.public_key,
            ca_public_key=self.root_public_key,
            signer_id=self.signer_id,
            issue_date=definition.issue_date(datetime.now(UTC)),
            sign=lambda digest: _sign(self._root_key, digest),
        )

    @cached_property
    def cert_info(self) -> CertInfo:
        """What a client pins of this signer."""
        certificate = self.certificate.der
        name = certificate_layout(certificate).subject_common_name
        assert name is not None
        signer, device = self.signer_definition, self.device_definition
        return CertInfo(
            signer_name=name.of(certificate)[: -1 - 2 * len(self.signer_id)].decode(),
            signer_id=self.signer_id,
            signer_public_key=self.public_key,
            root_public_key=self.root_public_key,
            signer_template_id=signer.template_id,
            signer_chain_id=signer.chain_id,
            device_template_id=device.template_id,
            device_chain_id=device.chain_id,
        )

    def certify(self, chip_serial: bytes, public_key: bytes, unit: str = "") -> IssuedCertificate:
        """Issue a device certificate for a chip (9 bytes) and its key (64 bytes X||Y); raises CertificateError.

        If the certificate has a unit's name, and none is given, it is one that the rule allows.
        """
        definition = self.device_definition
        return issue(
            definition,
            subject_public_key=public_key,
            ca_public_key=self.public_key,
            signer_id=self.signer_id,
            issue_date=definition.issue_date(datetime.now(UTC)),
            chip_serial=chip_serial,
            unit=unit or self.example_unit,
            sign=lambda digest: _sign(self._key, digest),
        )

    @property
    def example_unit(self) -> str:
        """A unit's name that the device certificate can have; empty if it has none."""
        rule = self.device_definition.unit
        return "" if rule is None else rule.example

    def slot_contents(self, device: IssuedCertificate, public_key: bytes) -> tuple[SlotContent, ...]:
        """Return what a chip with this certificate and key (64 bytes X||Y) holds in its slots."""
        return (
            *slot_contents(self.device_definition, compressed=device.compressed, public_key=public_key),
            *slot_contents(self.signer_definition, compressed=self.certificate.compressed, public_key=self.public_key),
        )

    @cached_property
    def root_certificate(self) -> bytes:
        """A self-signed root certificate (DER); nothing but its key is compared."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root of a trial")])
        builder = x509.CertificateBuilder(name, name, self._root_key.public_key(), 1)
        builder = builder.not_valid_before(datetime(2000, 1, 1)).not_valid_after(datetime(9999, 12, 31))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return builder.sign(self._root_key, hashes.SHA256()).public_bytes(Encoding.DER)


def _signer_id(certificate: bytes) -> bytes:
    """Return the signer id (2 bytes) at the end of a signer certificate's common name, as four hex digits."""
    name = certificate_layout(certificate).subject_common_name
    try:
        return bytes.fromhex(name.of(certificate)[-2 * len(_SIGNER_ID) :].decode()) if name is not None else b""
    except ValueError as error:
        raise CertificateError("The common name of the signer certificate does not end with a signer id.") from error


def _sign(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    return raw_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
