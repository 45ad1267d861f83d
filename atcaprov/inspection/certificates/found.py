"""What was found on a chip: a chain of certificates, and whose way of storing them it is."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from atcaprov.certs.certified_key import certified_key
from atcaprov.certs.keys import signature_of, verify_digest
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import CertificateError


class StorageLayout(enum.StrEnum):
    """Who wrote the certificates, and how; the value is the name for programs."""

    ATCAPROV = "atcaprov"
    TNGTLS = "tngtls"
    TFLXTLS = "tflxtls"
    TNGLORA = "tnglora"
    NERVES_KEY = "nerves-key"
    NERVES_KEY_AUXILIARY = "nerves-key-auxiliary"
    ARDUINO_CLOUD = "arduino-cloud"
    ARDUINO_SELF_SIGNED = "arduino-self-signed"
    ESP_UTILITY = "esp-cryptoauth-utility"
    ZERO_TOUCH = "zero-touch"
    X509 = "x509"

    @property
    def description(self) -> str:
        """The name for people."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    StorageLayout.ATCAPROV: "provisioned with the certificate definitions that were given",
    StorageLayout.TNGTLS: "Microchip TNGTLS (Trust&GO), certificates of the maker",
    StorageLayout.TFLXTLS: "Microchip TFLXTLS (TrustFLEX), certificates of the maker",
    StorageLayout.TNGLORA: "Microchip TNGLORA (Trust&GO), certificates of the maker",
    StorageLayout.NERVES_KEY: "NervesKey",
    StorageLayout.NERVES_KEY_AUXILIARY: "NervesKey, auxiliary certificates",
    StorageLayout.ARDUINO_CLOUD: "Arduino Cloud (ECCX08Cert)",
    StorageLayout.ARDUINO_SELF_SIGNED: "ArduinoECCX08, self-signed certificate (ECCX08SelfSignedCert)",
    StorageLayout.ESP_UTILITY: "esp-cryptoauth-utility (cert2certdef.py)",
    StorageLayout.ZERO_TOUCH: "AWS zero touch kit, with the names of its samples (cert2certdef.py)",
    StorageLayout.X509: "X.509 certificate stored whole",
}


@dataclass(frozen=True)
class FoundCertificate:
    """A certificate (DER) and the slots that its parts are in."""

    der: bytes
    slots: tuple[int, ...]

    @cached_property
    def parsed(self) -> x509.Certificate:
        """The certificate as `cryptography` reads it; its extensions may be unreadable there."""
        return x509.load_der_x509_certificate(self.der)

    @property
    def public_key(self) -> bytes:
        """X||Y, 64 bytes; raises CertificateError for a key of another kind."""
        return certified_key(self.parsed)

    @property
    def p256_key(self) -> bytes | None:
        """X||Y, 64 bytes, or None for a key of another kind."""
        try:
            return self.public_key
        except CertificateError:
            return None

    def issued(self, other: FoundCertificate) -> bool:
        """Tell whether this certificate is that of the other's issuer: names and signature fit."""
        try:
            other.parsed.verify_directly_issued_by(self.parsed)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True


@dataclass(frozen=True)
class FoundChain:
    """Certificates of one layout, the chip's own first, then that of its issuer."""

    layout: StorageLayout
    certificates: tuple[FoundCertificate, ...]
    key_slot: int | None
    """The slot whose private key the first certificate is for; None if the chip has no such key."""
    is_signed: bool | None
    """Whether the first certificate is signed by the key that the chip holds for its issuer; None if it holds none."""

    @property
    def device(self) -> FoundCertificate:
        """The chip's own certificate."""
        return self.certificates[0]


def is_signed_by(certificate: bytes, issuer_public_key: bytes) -> bool:
    """Tell whether a certificate (DER) is signed by X||Y (64 bytes); bytes without such a signature are not."""
    try:
        layout = certificate_layout(certificate)
        signature = signature_of(layout.signature.of(certificate))
        return verify_digest(issuer_public_key, hashlib.sha256(layout.tbs.of(certificate)).digest(), signature)
    except CertificateError:
        return False
