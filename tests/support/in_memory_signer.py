"""A signer in memory, for tests that need no files. Its keys are new in each run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import Code, UsageError
from atcaprov.certs.dates import NO_EXPIRY, DateFormat
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import CertificateDescription, default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.issue import issue
from atcaprov.certs.keys import key_id, raw_public_key, raw_signature
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.signer import SignatureCounter

NOW = datetime(2026, 11, 21, 10, 30, 15, tzinfo=UTC)
SIGNER_ID = bytes.fromhex("0034")


class SigningKey:
    """A P-256 key in memory that signs digests as a chip does."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = raw_public_key(self._key.public_key())

    def sign(self, digest: bytes) -> bytes:
        return raw_signature(self._key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))

    def root_certificate(self, name: x509.Name) -> bytes:
        builder = x509.CertificateBuilder(
            issuer_name=name,
            subject_name=name,
            public_key=self._key.public_key(),
            serial_number=1,
            not_valid_before=NOW - timedelta(days=1),
            not_valid_after=NO_EXPIRY[DateFormat.RFC5280_GEN],
        )
        identifier = key_id(self.public_key)
        extensions = default_description("root").extensions
        builder = extensions.add(builder, key_id=identifier, issuer_key_id=identifier)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)


class MemorySigner:
    """Implement provisioning_server.signers.signer.Signer; wait for the password if there is one."""

    slow = False
    remaining: int | None = None
    password_missing = False
    counter: SignatureCounter | None = None
    """Set it for a signer that counts; `sign` advances it."""

    def __init__(
        self,
        *,
        password: bytes | None = None,
        device: CertificateDefinition | None = None,
        root: SigningKey | None = None,
        signer_id: bytes = SIGNER_ID,
        description: CertificateDescription | None = None,
        made: datetime | None = None,
    ) -> None:
        """Its certificate begins when it was `made`; without that at NOW, or before, so that it has begun today."""
        self.name = "Example ATECC608A Signer"
        self.signer_id = signer_id
        self.ready = password is None
        self.signatures = 0
        self.rests = 0
        self._password = password
        self._key = SigningKey()
        self.serial = key_id(self._key.public_key)[:9]
        self.documents = _documents(self._key.public_key, signer_id, root or SigningKey(), device, description, made)

    @property
    def wrong_tries_at(self) -> str | None:
        return f"module {self.serial.hex()}" if self.slow else None

    @property
    def quota_low(self) -> bool:
        return self.remaining is not None and self.remaining <= 1000

    def unlock(self, password: bytes | None) -> None:
        if password != self._password:
            raise UsageError("The password is wrong.", code=Code.PASSWORD_WRONG)
        self.ready = True

    def sign(self, digest: bytes) -> bytes:
        self.signatures += 1
        if self.counter is not None:
            self.counter = replace(self.counter, value=self.counter.value + 1)
        return self._key.sign(digest)

    def rest(self) -> None:
        self.rests += 1

    def close(self) -> None:
        self.ready = self._password is None


def _documents(
    signer_public_key: bytes,
    signer_id: bytes,
    root: SigningKey,
    device: CertificateDefinition | None,
    description: CertificateDescription | None,
    made: datetime | None,
) -> SignerDocuments:
    made = made or min(NOW, datetime.now(UTC))
    root_name = default_description("root").subject_name()
    description = description or default_description("signer")
    definition = signer_definition(description, root_name=root_name, at=NOW)
    issued = issue(
        definition,
        subject_public_key=signer_public_key,
        ca_public_key=root.public_key,
        signer_id=signer_id,
        issue_date=definition.issue_date(made),
        sign=root.sign,
    )
    device = device or device_definition(default_description("device"), signer=description, at=NOW)
    return SignerDocuments(
        signer_public_key=signer_public_key,
        signer_certificate=issued.der,
        signer_compressed=issued.compressed,
        root_certificate=root.root_certificate(root_name),
        signer_definition=definition.to_bytes(),
        device_definition=device.to_bytes(),
    )
