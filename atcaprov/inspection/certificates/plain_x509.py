"""Whole X.509 certificates in data slots, as DER or PEM, in one slot or over several that follow each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.der import read_tlv
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.errors import CertificateError
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain, StorageLayout
from atcaprov.inspection.snapshot import ChipSnapshot

_START: Final = re.compile(rb"\x30[\x81\x82]")
"""A SEQUENCE of 128 to 65,535 bytes."""
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----")


def find(chip: ChipSnapshot) -> Iterator[FoundChain]:
    """Yield each whole certificate; those of the chip's own keys are device certificates with their key slot."""
    found = list(_certificates(chip))
    keys = {key: slot for slot, key in chip.public_keys.items()}
    for certificate in found:
        slot = keys.get(certificate.p256_key or b"")
        yield FoundChain(StorageLayout.X509, (certificate,), slot, is_signed=None)


def _certificates(chip: ChipSnapshot) -> Iterator[FoundCertificate]:
    for slots in _neighbours(chip):
        content = b"".join(chip.slots[slot] for slot in slots)
        for start, end, der in (*_ders(content), *_pems(content)):
            yield FoundCertificate(der, _covered(chip, slots, start, end))


def _neighbours(chip: ChipSnapshot) -> Iterator[list[int]]:
    """Yield runs of slots that can be read and follow each other."""
    run: list[int] = []
    for slot in range(SLOT_COUNT + 1):
        if slot in chip.slots:
            run.append(slot)
        elif run:
            yield run
            run = []


def _covered(chip: ChipSnapshot, slots: list[int], start: int, end: int) -> tuple[int, ...]:
    """Return the slots in which bytes `start` to `end` of their joined content lie."""
    covered, position = [], 0
    for slot in slots:
        after = position + len(chip.slots[slot])
        if start < after and position < end:
            covered.append(slot)
        position = after
    return tuple(covered)


def _ders(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    match = _START.search(content)
    while match is not None:
        start, end = match.start(), _end_of_certificate(content, match.start())
        if end is not None:
            yield start, end, content[start:end]
        match = _START.search(content, end or start + 1)


def _end_of_certificate(content: bytes, position: int) -> int | None:
    try:
        end = read_tlv(content, position, len(content)).end
        _require_readable(x509.load_der_x509_certificate(content[position:end]))
    except (CertificateError, *UNREADABLE):
        return None
    return end


def _require_readable(certificate: x509.Certificate) -> None:
    """Read what is shown of a certificate; `cryptography` finds damage in a part only when that part is asked for."""
    for part in (certificate.subject, certificate.issuer):
        part.rfc4514_string()
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.serial_number


def _pems(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    for match in _PEM.finditer(content):
        try:
            certificate = x509.load_pem_x509_certificate(match[0])
            _require_readable(certificate)
        except UNREADABLE:
            continue
        yield match.start(), match.end(), certificate.public_bytes(Encoding.DER)
