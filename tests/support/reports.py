"""Reports of boards in tests: user functions that keep them, and a judge that does not use the project's code."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.provisioning.board_report import BoardReport
from tests.support.in_memory_server import InMemory, MemoryCa


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
