"""Definitions derived from a customer's certificates: of a device and of its signer, or of a signer alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from atcaprov.certs import c_source
from atcaprov.certs.compress import compress
from atcaprov.certs.definitions.definition import CertificateDefinition, StdElement
from atcaprov.certs.derivation.chip_parts import serial_at
from atcaprov.certs.derivation.derive import derive, role_of, without_authority_key_id
from atcaprov.certs.derivation.description import DerivedDescription, describe, description_toml
from atcaprov.certs.derivation.request import DefinitionRequest, DerivedDefinition
from atcaprov.certs.keys import PUBLIC_KEY_SIZE
from atcaprov.certs.x509_layout import authority_layout
from atcaprov.errors import CertificateError, Code, UsageError


@dataclass(frozen=True)
class FamilyMember:
    """A certificate (DER), its definition, and its description if there is one."""

    certificate: bytes
    derived: DerivedDefinition
    described: DerivedDescription
    issuer_public_key: bytes | None

    @property
    def definition(self) -> CertificateDefinition:
        """The derived definition."""
        return self.derived.definition

    def report(self) -> Iterator[str]:
        """Yield what was found, as lines for people."""
        definition = self.definition
        serial = definition.layout.serial_number
        found = [each for each in StdElement if definition.element(each).count]
        extra = [
            f"{each.id} (bytes {each.cert_loc.offset}-{each.cert_loc.end - 1})" for each in definition.cert_elements
        ]
        yield f"{definition.role}: template id {definition.template_id}, chain id {definition.chain_id}"
        yield (
            f"  dates: {definition.issue_date_format.name}, {definition.expire_date_format.name}, "
            f"{definition.expire_years or 'no'} years, compressed format {definition.format_version}"
        )
        yield (
            f"  serial number: {definition.sn_source.name}, {definition.element(StdElement.CERT_SN).count} of "
            f"{serial.end - serial.start} bytes"
        )
        yield f"  elements: {', '.join(each.name for each in found)}"
        yield f"  from the chip: {', '.join(extra) or 'nothing else'}"
        yield f"  rebuilt byte for byte from: {self.derived.compressed.hex().upper()}"
        if self.described.description is None:
            yield f"  no description in TOML makes it: {self.described.why_not}"

    def check_also(self, other: bytes) -> None:
        """Raise CertificateError (certificate-mismatch) unless the definition holds for another certificate (DER)."""
        known = self.issuer_public_key is not None
        compress(
            self.definition if known else without_authority_key_id(self.definition),
            other,
            ca_public_key=self.issuer_public_key or bytes(PUBLIC_KEY_SIZE),
            chip_serial=serial_at(self.definition, other),
        )

    def files(self, issuer: CertificateDefinition | None) -> dict[str, bytes]:
        """Return the files of the definition: name -> bytes; `issuer` is the definition of the signer, if derived."""
        definition = self.definition
        key = self.issuer_public_key if definition.role == "signer" else None
        found = {
            f"{definition.role}_definition.json": definition.to_json().encode(),
            f"{definition.role}_definition.cbor": definition.to_bytes(),
            c_source.header_name(definition): c_source.header(definition, ca_public_key=key is not None).encode(),
            c_source.source_name(definition): c_source.source(definition, issuer=issuer, ca_public_key=key).encode(),
        }
        if self.described.description is not None:
            found[f"{definition.role}.toml"] = description_toml(self.described.description).encode()
        return found


@dataclass(frozen=True)
class CertificateFamily:
    """The members whose definitions were derived; the signer first, if there are two."""

    members: tuple[FamilyMember, ...]
    notes: tuple[str, ...]

    @property
    def last(self) -> FamilyMember:
        """The member whose certificate was asked for."""
        return self.members[-1]

    def files(self) -> dict[str, bytes]:
        """Return the files of all definitions: name -> bytes."""
        found: dict[str, bytes] = {}
        issuer = None
        for member in self.members:
            found |= member.files(issuer)
            issuer = member.definition
        return found


def derive_family(
    certificate: bytes,
    request: DefinitionRequest,
    *,
    signer: tuple[bytes, DefinitionRequest] | None,
    root: bytes | None,
) -> CertificateFamily:
    """Return the definitions of a certificate (DER) and, of a device's, of its signer's.

    Raises CertificateError for what the compressed form or a definition cannot hold; UsageError when the certificates
    do not have the roles in which they were given.
    """
    root_key = None if root is None else _public_key(root)
    if role_of(certificate) == "signer":
        if signer is not None:
            raise UsageError(
                "The certificate is that of a CA. Its issuer is a root.", advice="Give it with --root-certificate."
            )
        member = _member(certificate, replace(request, issuer_public_key=root_key))
        return CertificateFamily((member,), member.derived.notes)
    if signer is None:
        member = _member(certificate, request)
        return CertificateFamily((member,), member.derived.notes)
    above, notes = _signer(*signer, root_key)
    named = replace(
        request,
        issuer_public_key=_public_key(signer[0]),
        issuer_definition=above.definition.name if above is not None else "",
    )
    member = _member(certificate, named, above)
    members = (member,) if above is None else (above, member)
    return CertificateFamily(members, (*notes, *member.derived.notes))


def _signer(
    certificate: bytes, request: DefinitionRequest, root_key: bytes | None
) -> tuple[FamilyMember | None, Sequence[str]]:
    """Return the signer's member, or why its certificate has no compressed form."""
    if role_of(certificate) != "signer":
        raise UsageError("The signer's certificate is not that of a CA.", code=Code.CERTIFICATE_MISMATCH)
    try:
        member = _member(certificate, replace(request, issuer_public_key=root_key))
    except CertificateError as error:
        return None, [f"The signer's certificate has no definition, so the device's names none. {error.what}"]
    return member, [f"Signer: {note}" for note in member.derived.notes]


def _member(certificate: bytes, request: DefinitionRequest, signer: FamilyMember | None = None) -> FamilyMember:
    derived = derive(certificate, request)
    above = signer.described.description if signer is not None else None
    described = describe(certificate, derived, request.slots, request.issuer_public_key, above)
    return FamilyMember(certificate, derived, described, request.issuer_public_key)


def _public_key(certificate: bytes) -> bytes:
    return authority_layout(certificate).public_key.of(certificate)
