"""Whether a signer may sign for a product: by its public facts, and by the certificates that it issues."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.template import definition_below
from atcaprov.certs.field_comparison import certificate_differences
from atcaprov.certs.x509_layout import authority_layout, certificate_layout
from atcaprov.errors import AtcaProvError
from atcaprov.product_profile.profile import ProductProfile
from provisioning_server.records.signer_documents import SignerDocuments

_NAMED: Final = 2
_ID_SIZE: Final = 4


def signer_problem(profile: ProductProfile, documents: SignerDocuments) -> str:
    """Return why a signer may not sign for a product, as the end of a sentence about it; empty if it may."""
    try:
        return _problem(profile, documents)
    except (AtcaProvError, ValueError) as error:  # of an external CA, in a form that nothing here writes
        return f"cannot be held against the profile: {error}"


def _problem(profile: ProductProfile, documents: SignerDocuments) -> str:
    root = authority_layout(documents.root_certificate).public_key.of(documents.root_certificate)
    name = _common_name(documents.signer_certificate)
    try:
        signer_id = bytes.fromhex(name[-_ID_SIZE:])
    except ValueError:
        return "has no signer id at the end of its common name"
    return (
        profile.signers.broken_rule(root, name, signer_id)
        or _other_certificates(profile, documents)
        or _other_slots(profile, documents)
    )


def _common_name(certificate: bytes) -> str:
    span = certificate_layout(certificate).subject_common_name
    return "" if span is None else span.of(certificate).decode("utf-8", "replace")


def _other_certificates(profile: ProductProfile, documents: SignerDocuments) -> str:
    """Compare what it issues with the definition that the profile's description gives below this signer."""
    found = documents.device
    try:
        wanted = definition_below(
            profile.certificate,
            documents.signer_certificate,
            issuer_definition=found.ca_cert_def,
            at=datetime(found.first_issue_year, 1, 1, tzinfo=UTC),
        )
    except AtcaProvError as error:
        return f"cannot issue the certificates of the profile: {error.what}"
    if wanted == found:
        return ""
    return f"issues other certificates than the profile describes: {definition_differences(wanted, found)}"


def definition_differences(wanted: CertificateDefinition, found: CertificateDefinition) -> str:
    """Return in words what differs between two definitions that are not equal."""
    differing = certificate_differences(wanted.cert_template, found.cert_template)
    if differing:
        named = "; ".join(f"{each.field} is {each.found}, not {each.expected}" for each in differing[:_NAMED])
        more = len(differing) - _NAMED
        return f"{named}; {more} more fields differ" if more > 0 else named
    names = [each.name for each in fields(wanted) if getattr(wanted, each.name) != getattr(found, each.name)]
    return f"its definition differs in {', '.join(names)}"


def _other_slots(profile: ProductProfile, documents: SignerDocuments) -> str:
    signer = CertificateDefinition.from_bytes(documents.signer_definition)
    needed = {*signer.write_slots, *documents.device.write_slots}
    outside = sorted(needed - profile.chip.certificate_slots)
    if not outside:
        return ""
    return f"writes to slot {outside[0]}, which is none of the profile's certificate_slots"
