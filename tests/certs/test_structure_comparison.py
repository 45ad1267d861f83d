"""A certificate that is built differently is refused with each difference, found and expected."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError, Code
from atcaprov.certs.compress import compress
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.keys import key_id
from atcaprov.certs.structure_comparison import explain_structure
from tests.support.certificates import ROOT, SIGNER, default_definitions, genuine_definition
from tests.support.random_units import random_unit

HOUR = datetime(2026, 6, 1, 8, tzinfo=UTC)
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
DEFINITION = default_definitions()[0]
DESCRIPTION = default_description("signer")
Extensions = list[x509.Extension[x509.ExtensionType]]
Change = Callable[[Extensions], Extensions]
CLIENT_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
NO_CRL = x509.KeyUsage(True, False, False, False, False, True, False, False, False)


def signer_certificate(
    change: Change = list, *, end: datetime = NEVER, name: x509.Name | None = None, serial: int = 0x40 << 120
) -> bytes:
    """A signer certificate that a CA made of the request, with its own mind about the extensions."""
    subject = DESCRIPTION.subject_name(signer_id="0034") if name is None else name
    issuer = default_description("root").subject_name()
    builder = x509.CertificateBuilder(issuer, subject, SIGNER.private.public_key(), serial, HOUR, end)
    asked = DESCRIPTION.extensions.add(builder, key_id=key_id(SIGNER.public), issuer_key_id=key_id(ROOT.public))
    signed = asked.sign(ROOT.private, hashes.SHA256())
    for extension in change(list(signed.extensions)):
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(ROOT.private, hashes.SHA256()).public_bytes(Encoding.DER)


def refused(certificate: bytes) -> str:
    with pytest.raises(CertificateError) as caught:
        compress(DEFINITION, certificate, ca_public_key=ROOT.public)
    assert caught.value.code == Code.CERTIFICATE_MISMATCH
    return caught.value.what


def added(value: x509.ExtensionType) -> Change:
    return lambda extensions: [*extensions, x509.Extension(value.oid, False, value)]


def without(kind: type[x509.ExtensionType]) -> Change:
    return lambda extensions: [each for each in extensions if not isinstance(each.value, kind)]


def replaced(value: x509.ExtensionType, *, critical: bool) -> Change:
    new = x509.Extension(value.oid, critical, value)
    return lambda extensions: [new if each.oid == value.oid else each for each in extensions]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (added(CLIENT_AUTH), "extension extKeyUsage: expected none, found clientAuth"),
        (without(x509.AuthorityKeyIdentifier), "extension authorityKeyIdentifier: expected 24 bytes, found none"),
        (without(x509.KeyUsage), "extension keyUsage: expected critical 03020186, found none"),
        (replaced(NO_CRL, critical=True), "extension keyUsage: expected critical 03020186, found critical 03020284"),
        (
            replaced(x509.BasicConstraints(True, 0), critical=False),
            "extension basicConstraints: expected critical 30060101ff020100, found 30060101ff020100",
        ),
        (
            lambda extensions: extensions[::-1],
            "order of the extensions: expected basicConstraints, keyUsage, subjectKeyIdentifier, "
            "authorityKeyIdentifier; found authorityKeyIdentifier, subjectKeyIdentifier, keyUsage, basicConstraints",
        ),
    ],
)
def test_other_extensions_are_named(change: Change, says: str) -> None:
    assert says in refused(signer_certificate(change))


def test_other_forms_of_names_dates_and_serial_number_are_named() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Signer 0034")])
    assert "found CN (UTF8String of 11 bytes)" in refused(signer_certificate(name=name))
    assert "found UTCTime and UTCTime" in refused(signer_certificate(end=HOUR.replace(year=2036)))
    assert "expected 16 bytes, found 1 bytes" in refused(signer_certificate(serial=5))


def test_a_certificate_of_version_1_is_named() -> None:
    certificate = signer_certificate(lambda _: [])
    tbs = x509.load_der_x509_certificate(certificate).tbs_certificate_bytes
    fields = tbs[4:].removeprefix(bytes.fromhex("a003020102"))
    assert len(fields) == len(tbs) - 4 - 5
    first_version = sequence(sequence(fields) + certificate[4 + len(tbs) :])
    assert x509.load_der_x509_certificate(first_version).version is x509.Version.v1
    assert "version: expected X.509 v3, found X.509 v1" in refused(first_version)


def sequence(content: bytes) -> bytes:
    return b"\x30\x82" + len(content).to_bytes(2, "big") + content


@pytest.mark.slow
def test_issued_certificate_has_the_structure_of_its_template() -> None:
    source = random.Random(20261130)
    for _ in range(100):
        unit = random_unit(source)
        for definition, issued in ((unit.signer_definition, unit.signer), (unit.device_definition, unit.device)):
            assert explain_structure(definition.cert_template, issued.der) == []


def test_a_key_on_another_curve_is_named() -> None:
    private = ec.generate_private_key(ec.SECP384R1())
    name = DESCRIPTION.subject_name(signer_id="0034")
    issuer = default_description("root").subject_name()
    builder = x509.CertificateBuilder(issuer, name, private.public_key(), 0x40 << 120, HOUR, NEVER)
    certificate = builder.sign(ROOT.private, hashes.SHA384()).public_bytes(Encoding.DER)
    what = refused(certificate)
    assert "key: expected id-ecPublicKey P-256, found id-ecPublicKey P-384" in what
    assert "signature algorithm: expected ecdsa-with-SHA256, found ecdsa-with-SHA384" in what


@given(st.binary(max_size=700))
def test_garbage_ends_in_the_certificates_error(garbage: bytes) -> None:
    with pytest.raises(CertificateError):
        explain_structure(genuine_definition().cert_template, garbage)


@given(st.integers(0, 499), st.integers(0, 255))
def test_a_changed_byte_ends_in_differences_or_the_certificates_error(position: int, value: int) -> None:
    template = DEFINITION.cert_template
    changed = bytearray(template)
    changed[position % len(template)] = value
    try:
        found = explain_structure(template, bytes(changed))
    except CertificateError:
        return
    assert all(" expected " in f" {phrase}" for phrase in found)
