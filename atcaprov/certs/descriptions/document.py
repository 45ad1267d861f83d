"""A certificate description as the map of its TOML text, which `CertificateDescription.from_document` reads."""

from __future__ import annotations

from typing import Any

from atcaprov.certs.descriptions.description import CertificateDescription, Slots
from atcaprov.certs.descriptions.extensions import ExtensionsDescription
from atcaprov.certs.serial_number import FIXED_SIZES


def description_document(description: CertificateDescription) -> dict[str, Any]:
    """Return a map of plain values from which the same description is read."""
    document: dict[str, Any] = {
        "role": description.role,
        "subject": dict(description.subject.attributes),
        "validity": {"expire_years": description.expire_years},
        "extensions": _extensions(description.extensions),
    }
    if description.slots is None:
        return document
    document |= {
        "name": description.name,
        "template_id": description.template_id,
        "chain_id": description.chain_id,
        "serial_number": description.sn_source.name,
        "slots": _slots(description.slots),
    }
    document["validity"]["compressed_format"] = description.format_version
    if description.sn_source not in FIXED_SIZES:
        document["serial_number_size"] = description.serial_size
    return document


def _extensions(extensions: ExtensionsDescription) -> dict[str, Any]:
    found: dict[str, Any] = {"key_usage": list(extensions.key_usage)}
    if extensions.extended_key_usage:
        found["extended_key_usage"] = list(extensions.extended_key_usage)
    if extensions.path_length is not None:
        found["path_length"] = extensions.path_length
    return found


def _slots(slots: Slots) -> dict[str, int]:
    named = {
        "compressed_certificate": slots.compressed_certificate,
        "private_key": slots.private_key,
        "public_key": slots.public_key,
    }
    return {name: slot for name, slot in named.items() if slot is not None}
