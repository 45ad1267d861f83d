"""Reports of boards in tests: user functions that keep them, and a judge that does not use the project's code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.provisioning.board_report import BoardReport
from atcaprov.wire.fields import ReportedStage
from atcaprov.wire.messages import ReportRequest
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.in_memory_signer import NOW, SigningKey


class ReportingFunctions(InMemory):
    """User functions that keep every report; the server gives challenges."""

    def __init__(self, authority: MemoryCa, **options: Any) -> None:
        super().__init__(authority, **options)
        authority.gives_challenges = True
        self.reports: list[BoardReport] = []

    def report(self, report: BoardReport) -> None:
        self.reports.append(report)

    @property
    def last(self) -> BoardReport:
        return self.reports[-1]


def is_proof(certificate: bytes, report: BoardReport, contents: bytes | None = None) -> bool:
    """Judge a report's signature by `cryptography` alone; `contents` are the bytes of which the hash must be."""
    request = report.request
    if contents is not None and hashlib.sha256(contents).digest() != request.contents_sha256:
        return False
    signed = b"atcaprov proof of possession 1\n" + request.challenge
    signed += hashlib.sha256(certificate).digest() + request.contents_sha256
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(half, "big") for half in (request.signature[:32], request.signature[32:]))
    try:
        key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


@dataclass
class Product:
    """A chip with a key of its own, and the certificate that it got with a challenge."""

    key: SigningKey
    chip: bytes
    certificate: bytes
    challenge: bytes

    def report(self, *, challenge: bytes | None = None, signed: bool = True, **fields: Any) -> ReportRequest:
        """Return a report as the client makes it, signed by the key; `fields` replace some afterwards."""
        challenge = challenge or self.challenge
        contents = hashlib.sha256(b"what was read back").digest()
        certificate = hashlib.sha256(self.certificate).digest()
        digest = hashlib.sha256(b"atcaprov proof of possession 1\n" + challenge + certificate + contents).digest()
        report = ReportRequest(
            self.chip,
            certificate,
            challenge,
            "good",
            (ReportedStage(10, "done", 250),),
            int(NOW.timestamp()) + 20,
            signature=self.key.sign(digest) if signed else b"",
            contents_sha256=contents if signed else b"",
        )
        return replace(report, **fields)
