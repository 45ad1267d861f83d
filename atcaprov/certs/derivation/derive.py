"""Derive the definition of a certificate that somebody else made, and prove it: compress, rebuild, compare.

What the compressed form cannot hold is refused with the field named and what the CA must change. The steps are those
of docs/reference/definition-from-certificate.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from atcaprov.certs.compress import compress
from atcaprov.certs.compressed_form import CompressedCertificate, hashed_dates
from atcaprov.certs.dates import format_version_for
from atcaprov.certs.definitions.definition import (
    CertElement,
    CertificateDefinition,
    CertLocation,
    DeviceLocation,
    DeviceZone,
    Role,
    SerialSource,
    StdElement,
)
from atcaprov.certs.der import BOOLEAN, children, read_tlv
from atcaprov.certs.derivation.chip_parts import serial_elements, serial_in_names, text_elements
from atcaprov.certs.derivation.request import DefinitionRequest, DerivedDefinition, Findings
from atcaprov.certs.derivation.serial_source import GeneratedSerial, SerialParts, find_source
from atcaprov.certs.derivation.validity import date_format, validity
from atcaprov.certs.descriptions.template import compressed_location, public_key_location
from atcaprov.certs.keys import PUBLIC_KEY_SIZE, key_id, signature_of, verify_digest
from atcaprov.certs.x509_layout import Span, certificate_layout, extension_values

_SIGNER_ID_SIZE: Final = 4
_UPPER_HEX: Final = frozenset(b"0123456789ABCDEF")
_BASIC_CONSTRAINTS: Final = bytes.fromhex("0603551d13")
_NO_KEY: Final = bytes(PUBLIC_KEY_SIZE)
_NOMINAL_SIGNATURE: Final = 74


def role_of(certificate: bytes) -> Role:
    """Return signer for the certificate (DER) of a CA, device for any other."""
    extensions = certificate_layout(certificate).extensions
    for extension in extension_values(certificate, extensions) if extensions is not None else []:
        if extension.object_id.of(certificate) == _BASIC_CONSTRAINTS:
            constraints = read_tlv(certificate, extension.value.content, extension.value.end)
            flags = [part for part in children(certificate, constraints) if part.tag == BOOLEAN]
            return "signer" if flags and certificate[flags[0].content] else "device"
    return "device"


def derive(certificate: bytes, request: DefinitionRequest) -> DerivedDefinition:
    """Return the definition of a certificate (DER) of a signer or device.

    Raises CertificateError: certificate-mismatch with each field that the compressed form cannot hold,
    definition-invalid for what a definition cannot hold.
    """
    return _Derivation(certificate, request).derived()


def without_authority_key_id(definition: CertificateDefinition) -> CertificateDefinition:
    """Return a definition whose authority key id is constant, for an issuer whose key is not known."""
    elements = list(definition.std_cert_elements)
    elements[StdElement.AUTH_KEY_ID] = CertLocation()
    return replace(definition, std_cert_elements=tuple(elements))


class _Derivation:
    """One certificate (DER), its layout, and what was found in it."""

    def __init__(self, certificate: bytes, request: DefinitionRequest) -> None:
        self.certificate = certificate
        self.request = request
        self.layout = certificate_layout(certificate)
        self.role = role_of(certificate)
        self.findings = Findings()
        self.chip_serial = request.chip_serial or serial_in_names(certificate, self.layout)

    def derived(self) -> DerivedDefinition:
        """Find all elements, refuse what does not fit, and prove the definition."""
        self.check_signature()
        signer_id = self.signer_id()
        fields = self.compressed_fields(signer_id)
        source = self.serial_source(fields) if fields is not None else None
        spans = {StdElement.SUBJ_KEY_ID: self.subject_key_id(), StdElement.AUTH_KEY_ID: self.authority_key_id()}
        elements = self.elements()
        self.findings.check()
        assert fields is not None
        assert source is not None
        definition = self.definition(fields, source, elements, {**spans, StdElement.SIGNER_ID: signer_id})
        return DerivedDefinition(definition, self.proved(definition), self.chip_serial, tuple(self.findings.notes))

    def check_signature(self) -> None:
        """Check the signature under the key of the issuer, if it is known."""
        if self.request.issuer_public_key is None:
            self.findings.notes.append("The signature was not checked: the issuer's certificate was not given.")
            return
        digest = hashlib.sha256(self.layout.tbs.of(self.certificate)).digest()
        signature = signature_of(self.layout.signature.of(self.certificate))
        if not verify_digest(self.request.issuer_public_key, digest, signature):
            self.findings.refuse(
                "signature: it does not verify under the key of the issuer's certificate",
                "Give the certificate of the CA that signed it",
            )

    def signer_id(self) -> Span | None:
        """Return where the signer id stands: four upper-case digits at the end of the signer's common name."""
        is_device = self.role == "device"
        name = self.layout.issuer_common_name if is_device else self.layout.subject_common_name
        if name is not None and name.holds(name.end - _SIGNER_ID_SIZE, name.end):
            span = Span(name.end - _SIGNER_ID_SIZE, name.end)
            if set(span.of(self.certificate)) <= _UPPER_HEX:
                return span
        self.findings.notes.append(
            f"The common name of the {'issuer' if is_device else 'subject'} does not end in a signer id (four "
            "upper-case hexadecimal digits): the definition is for this one signer."
        )
        return None

    def compressed_fields(self, signer_id: Span | None) -> CompressedCertificate | None:
        """Return the compressed form but for the ids of the definition; None if the dates have none."""
        found = validity(self.certificate, self.layout, self.request, self.findings)
        if found is None:
            return None
        issue_date, years = found
        return CompressedCertificate(
            signature=signature_of(self.layout.signature.of(self.certificate)),
            issue_date=issue_date,
            expire_years=years,
            signer_id=bytes.fromhex(signer_id.of(self.certificate).decode()) if signer_id else bytes(2),
            template_id=0,
            chain_id=0,
            sn_source=SerialSource.STORED,
            format_version=format_version_for(issue_date.year, years),
        )

    def serial_source(self, fields: CompressedCertificate) -> GeneratedSerial:
        """Return how the serial number was made; one that follows from nothing is stored."""
        content = self.layout.serial_number.of(self.certificate)
        key = self.layout.public_key.of(self.certificate)
        parts = SerialParts(key, fields.signer_id, hashed_dates(fields.pack()), self.chip_serial)
        found = find_source(content, parts)
        if found is not None:
            return found
        if self.request.serial_slot is None and self.role == "device":
            self.findings.refuse(
                f"serial number: {content.hex().upper()} follows neither from key and dates nor from the chip's "
                "serial number",
                "Have the CA use the number that signer-module definition serial-number prints, or keep the CA's own "
                "on the chip with --serial-slot",
            )
        elif self.request.serial_slot is None:
            self.findings.notes.append("The serial number is the CA's own: the definition is for this one certificate.")
        return GeneratedSerial(SerialSource.STORED, 0, len(content))

    def subject_key_id(self) -> Span | None:
        """Return where the hash of the key stands; None if there is none, or another id in the certificate of a CA."""
        span, expected = self.layout.subject_key_id, key_id(self.layout.public_key.of(self.certificate))
        if span is None or span.of(self.certificate) == expected:
            return span
        if self.role == "signer":
            self.findings.notes.append("The subject key id is not the SHA-1 of the key: it stays as it is.")
            return None
        self.findings.refuse(
            f"subject key id: {self.hex(span)} is not the SHA-1 of the public key, {expected.hex().upper()}",
            "Have the CA write subjectKeyIdentifier = hash",
        )
        return span

    def authority_key_id(self) -> Span | None:
        """Return where the hash of the issuer's key stands; None if there is none, or another id of this one issuer."""
        span = self.layout.authority_key_id
        if span is None:
            self.findings.notes.append("It has no authority key id of 20 bytes: the definition is for this one issuer.")
            return None
        if self.request.issuer_public_key is None:
            return span
        if span.of(self.certificate) == key_id(self.request.issuer_public_key):
            return span
        self.findings.notes.append(
            "The authority key id is not the SHA-1 of the issuer's key: it stays as it is, and the definition is for "
            "this one issuer."
        )
        return None

    def hex(self, span: Span) -> str:
        """Return bytes of the certificate as digits."""
        return span.of(self.certificate).hex().upper()

    def elements(self) -> tuple[CertElement, ...]:
        """Return the elements that the chip supplies besides the standard ones."""
        found: list[CertElement] = []
        if self.chip_serial is not None:
            found += serial_elements(self.certificate, self.layout, self.chip_serial)
        if self.request.chip_serial is not None and not found:
            self.findings.notes.append("The chip's serial number is neither in the subject nor in the extensions.")
        for text in self.request.texts:
            places = text_elements(self.certificate, self.layout, text)
            if not places:
                self.findings.refuse(
                    f"stored text: '{text.data.decode(errors='replace')}' is not in the certificate",
                    "Give texts as the certificate has them, dates such as 260601081500Z",
                )
            found += places
        return tuple(found)

    def definition(
        self,
        fields: CompressedCertificate,
        source: GeneratedSerial,
        elements: tuple[CertElement, ...],
        spans: dict[StdElement, Span | None],
    ) -> CertificateDefinition:
        """Return the definition; `spans` are those of the elements that the certificate may lack."""
        layout, request = self.layout, self.request
        start = layout.serial_number.start + source.offset
        spans |= {
            StdElement.PUBLIC_KEY: layout.public_key,
            StdElement.SIGNATURE: Span(layout.signature.start, layout.signature.start + _NOMINAL_SIGNATURE),
            StdElement.ISSUE_DATE: layout.issue_date,
            StdElement.EXPIRE_DATE: None if request.constant_end else layout.expire_date,
            StdElement.CERT_SN: Span(start, start + source.count),
        }
        return CertificateDefinition(
            name=request.name,
            role=self.role,
            template_id=request.template_id,
            chain_id=request.chain_id,
            private_key_slot=request.slots.private_key or 0,
            sn_source=source.source,
            cert_sn_dev_loc=self.stored_serial(source),
            issue_date_format=date_format(layout.issue_date_tag),
            expire_date_format=date_format(layout.expire_date_tag),
            tbs_cert_loc=_location(layout.tbs),
            expire_years=fields.expire_years,
            public_key_dev_loc=replace(public_key_location(request.slots), offset=request.key_offset),
            comp_cert_dev_loc=replace(compressed_location(request.slots), offset=request.certificate_offset),
            std_cert_elements=tuple(_location(spans[element]) for element in StdElement),
            cert_template=self.certificate,
            cert_elements=elements,
            ca_cert_def=request.issuer_definition,
            format_version=fields.format_version,
        )

    def stored_serial(self, source: GeneratedSerial) -> DeviceLocation:
        """Return where the chip keeps the serial number; nowhere if it follows from something, or is constant."""
        if source.source is not SerialSource.STORED or self.request.serial_slot is None:
            return DeviceLocation()
        slot, offset = self.request.serial_slot
        return DeviceLocation(DeviceZone.DATA, slot, False, offset, source.count)

    def proved(self, definition: CertificateDefinition) -> bytes:
        """Return the compressed form, from which the certificate was rebuilt byte for byte."""
        known = self.request.issuer_public_key is not None
        return compress(
            definition if known else without_authority_key_id(definition),
            self.certificate,
            ca_public_key=self.request.issuer_public_key or _NO_KEY,
            chip_serial=self.chip_serial,
            stored={text.location: text.data for text in self.request.texts},
        )


def _location(span: Span | None) -> CertLocation:
    return CertLocation(span.start, span.end - span.start) if span is not None else CertLocation()
