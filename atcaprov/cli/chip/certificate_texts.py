"""Certificates of a chip in words, as JSON, and as PEM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.chip.memory_map import slots_text
from atcaprov.cli.chip.options import hex_text
from atcaprov.errors import AtcaProvError
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain

_SIGNED = {
    True: "signed by the key that the chip holds for its issuer",
    False: "its signature does not verify under the key that the chip holds for its issuer",
    None: "the chip does not hold its issuer's key",
}


def chain_lines(chain: FoundChain) -> Iterator[str]:
    """Yield a chain in words."""
    yield f"{'layout':<16}{chain.layout}: {chain.layout.description}"
    for number, certificate in enumerate(chain.certificates):
        role = "issuer" if number else "certificate"
        yield f"{role:<16}{certificate.parsed.subject.rfc4514_string()}"
        yield from (f"  {name:<14}{text}" for name, text in _facts(certificate))
        if not number:
            key = "for none of the chip's keys" if chain.key_slot is None else f"slot {chain.key_slot}"
            yield f"  {'private key':<14}{key}"
            yield f"  {'signature':<14}{_SIGNED[chain.is_signed]}"
    yield f"{'issued by':<16}{chain.certificates[-1].parsed.issuer.rfc4514_string()}"


def _facts(certificate: FoundCertificate) -> Iterator[tuple[str, str]]:
    parsed = certificate.parsed
    yield "stored in", slots_text(certificate.slots) if certificate.slots else "a file"
    yield "serial", f"{parsed.serial_number:X}"
    yield "valid", f"{parsed.not_valid_before_utc:%Y-%m-%d %H:%M} to {parsed.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    yield "public key", hex_text(certificate.p256_key) or "not P-256"


def chain_object(chain: FoundChain) -> dict[str, Any]:
    """Return a chain for `--json`."""
    return {
        "layout": chain.layout,
        "description": chain.layout.description,
        "key_slot": chain.key_slot,
        "is_signed": chain.is_signed,
        "certificates": [_certificate_object(certificate) for certificate in chain.certificates],
    }


def _certificate_object(certificate: FoundCertificate) -> dict[str, Any]:
    parsed = certificate.parsed
    return {
        "subject": parsed.subject.rfc4514_string(),
        "issuer": parsed.issuer.rfc4514_string(),
        "serial": f"{parsed.serial_number:X}",
        "not_before": f"{parsed.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{parsed.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "public_key": hex_text(certificate.p256_key),
        "slots": list(certificate.slots),
        "certificate": hex_text(certificate.der),
    }


def error_object(error: AtcaProvError) -> dict[str, str]:
    """Return an error for `--json`."""
    return {"code": error.code, "message": error.what, "advice": error.advice, "board": error.board}


def chain_pem(chain: FoundChain) -> bytes:
    """Return a chain as PEM, the chip's own certificate first."""
    return b"".join(certificate.parsed.public_bytes(Encoding.PEM) for certificate in chain.certificates)
