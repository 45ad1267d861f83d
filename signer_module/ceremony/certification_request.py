"""One signer that is to be certified: a request (PKCS#10), which proves that its key exists, and a signer id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.keys import key_id, raw_public_key
from atcaprov.errors import CertificateError, Code


@dataclass(frozen=True)
class CertificationRequest:
    """A checked request: `der` is PKCS#10, `public_key` X||Y (64 bytes), `signer_id` 2 bytes."""

    der: bytes
    public_key: bytes
    signer_id: bytes

    @classmethod
    def of(cls, der: bytes, description: CertificateDescription) -> Self:
        """Check a request: its own signature, a key on P-256, and the subject that the description gives a signer.

        Raises CertificateError (request-invalid).
        """
        try:
            request = x509.load_der_x509_csr(der)
            key = request.public_key()
            subject = request.subject
            signed = request.is_signature_valid
        except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise _refused("It is not a request (PKCS#10)") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise _refused("Its key is not on P-256")
        if not signed:
            raise _refused("Its signature is not that of its key")
        return cls(der, raw_public_key(key), _signer_id(subject, description))

    @property
    def pem(self) -> str:
        """The request as PEM."""
        return x509.load_der_x509_csr(self.der).public_bytes(Encoding.PEM).decode()

    @property
    def name(self) -> str:
        """The common name without the signer id."""
        (name,) = x509.load_der_x509_csr(self.der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)[:-5]

    @property
    def key_id(self) -> str:
        """SHA-1 of the key, 40 hexadecimal digits, as it stands in certificates."""
        return key_id(self.public_key).hex()


def request_from_pem(text: str, description: CertificateDescription) -> CertificationRequest:
    """Read a request from PEM; raises CertificateError (request-invalid)."""
    try:
        der = x509.load_pem_x509_csr(text.encode()).public_bytes(Encoding.DER)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused("It is not a request (PKCS#10, PEM)") from error
    return CertificationRequest.of(der, description)


def _signer_id(subject: x509.Name, description: CertificateDescription) -> bytes:
    """Return the id with which the description gives exactly this subject."""
    wanted = description.subject_name(signer_id="0000")
    for own, given in zip(subject, wanted, strict=False):
        text = str(own.value)
        if own.oid == given.oid and len(text) == len(str(given.value)):
            for place in range(len(text) - 3):
                digits = text[place : place + 4]
                if _is_id(digits) and description.subject_name(signer_id=digits) == subject:
                    return bytes.fromhex(digits)
    raise _refused("Its subject is not the one that the signer's description gives")


def _is_id(digits: str) -> bool:
    return all(digit in "0123456789ABCDEF" for digit in digits)


def _refused(why: str) -> CertificateError:
    return CertificateError(
        f"The request cannot be certified. {why}.",
        advice="Make it again with 'signer-module signer request', with the same --signer-description.",
        code=Code.REQUEST_INVALID,
    )
