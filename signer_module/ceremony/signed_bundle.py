"""The file that comes back from the root: the bundle, its certificates, the root, and the signed record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.chain import verify_root, verify_signer, verify_under_root
from atcaprov.certs.document_reader import Document
from atcaprov.errors import CertificateError, Code
from signer_module.ceremony.bundle import Bundle, decode, encode, fault, items_of, lines_text
from signer_module.ceremony.certification_request import CertificationRequest
from signer_module.ceremony.record import CeremonyRecord

FORMAT: Final = "atcaprov key ceremony: signed"
_SIGNATURE_SIZE: Final = 64


@dataclass(frozen=True)
class SignedBundle:
    """What a root has signed: a certificate (DER) for each request of the bundle, in its order."""

    bundle: Bundle
    root: bytes
    certificates: tuple[bytes, ...]
    record: CeremonyRecord
    signature: bytes

    def encode(self) -> str:
        """Return the text of the file."""
        return encode(
            {
                "format": FORMAT,
                "bundle": self.bundle.document(),
                "root": _lines(self.root),
                "certificates": [_lines(each) for each in self.certificates],
                "record": self.record.document(),
                "record_signature": self.signature.hex(),
            }
        )

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a file and check all of it against the root that it names.

        Raises UsageError (file-invalid) or CertificateError; whose root that is, `require_root` checks.
        """
        document = Document(decode(text, FORMAT)[1], fault=fault)
        document.text("format", 64)
        signed = cls(
            bundle=Bundle.of(document.get("bundle")),
            root=_certificate(document.get("root")),
            certificates=tuple(_certificate(each) for each in items_of(document, "certificates")),
            record=CeremonyRecord.of(document.get("record")),
            signature=_signature(document),
        )
        document.finish()
        if signed.encode() != text:
            raise fault("the file", "is not as it was written: it was changed, or damaged")
        signed.check()
        return signed

    def check(self) -> None:
        """Compare requests, certificates, record and root with each other; raises UsageError or CertificateError."""
        root_key = verify_root(self.root)
        self.record.require_signed(root_key, self.signature)
        if self.record.bundle_sha256 != self.bundle.digest:
            raise fault("the record", "is of another bundle")
        if self.record.certificates_sha256 != tuple(map(sha256, self.certificates)):
            raise fault("the record", "lists other certificates than there are")
        if len(self.certificates) != len(self.bundle.requests):
            raise fault("certificates", "must be one for each request")
        for request, certificate in zip(self.bundle.requests, self.certificates, strict=True):
            self._check_pair(request, certificate, root_key)

    def _check_pair(self, request: CertificationRequest, certificate: bytes, root_key: bytes) -> None:
        verify_signer(certificate, signer_public_key=request.public_key, root_public_key=root_key)
        verify_under_root(certificate, self.root)
        subject = x509.load_der_x509_csr(request.der).subject
        if x509.load_der_x509_certificate(certificate).subject != subject:
            raise fault("a certificate", f"is not for the request with the key {request.key_id}")

    def require_root(self, root_public_key: bytes) -> None:
        """Raise CertificateError (root-not-pinned) unless it is the root (X||Y, 64 bytes) that is trusted here."""
        if verify_root(self.root) != root_public_key:
            raise CertificateError(
                "The bundle was signed by another root than the one that is given.",
                advice="Compare the root's certificate with the printed record of its creation.",
                code=Code.ROOT_NOT_PINNED,
            )


def sha256(der: bytes) -> bytes:
    """Return how a certificate is named in the record."""
    return hashlib.sha256(der).digest()


def _lines(der: bytes) -> Sequence[str]:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode().splitlines()


def _certificate(value: object) -> bytes:
    try:
        return x509.load_pem_x509_certificate(lines_text(value).encode()).public_bytes(Encoding.DER)
    except ValueError as error:
        raise fault("a certificate", "is damaged") from error


def _signature(document: Document) -> bytes:
    try:
        signature = bytes.fromhex(document.text("record_signature", 2 * _SIGNATURE_SIZE))
    except ValueError:
        signature = b""
    if len(signature) != _SIGNATURE_SIZE:
        raise fault("record_signature", f"must have {2 * _SIGNATURE_SIZE} hexadecimal digits")
    return signature
