from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from atcaprov import CertificateError, Code, verify_chain
from atcaprov.certs.chain import verify_root, verify_signer, verify_under_root
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.issue import issue
from atcaprov.certs.keys import key_id
from tests.support.certificates import (
    CHIP_SERIAL,
    DEVICE,
    HOUR,
    ROOT,
    SIGNER,
    SIGNER_ID,
    Key,
    default_definitions,
)

SIGNER_DEFINITION, DEVICE_DEFINITION = default_definitions()


def signer_certificate(*, root: Key = ROOT, signer: Key = SIGNER, signer_id: bytes = SIGNER_ID) -> bytes:
    return issue(
        SIGNER_DEFINITION,
        subject_public_key=signer.public,
        ca_public_key=root.public,
        signer_id=signer_id,
        issue_date=HOUR,
        sign=root.sign,
    ).der


def device_certificate(*, signer: Key = SIGNER, signer_id: bytes = SIGNER_ID) -> bytes:
    return issue(
        DEVICE_DEFINITION,
        subject_public_key=DEVICE.public,
        ca_public_key=signer.public,
        signer_id=signer_id,
        issue_date=HOUR,
        chip_serial=CHIP_SERIAL,
        sign=signer.sign,
    ).der


SIGNER_DER = signer_certificate()
DEVICE_DER = device_certificate()


def check(device: bytes = DEVICE_DER, signer: bytes = SIGNER_DER, root: bytes = ROOT.public) -> None:
    verify_chain(device, signer, root, at=HOUR, device_public_key=DEVICE.public)


def code(device: bytes = DEVICE_DER, signer: bytes = SIGNER_DER, root: bytes = ROOT.public) -> str:
    with pytest.raises(CertificateError) as caught:
        check(device, signer, root)
    return caught.value.code


def test_good_chain() -> None:
    check()
    verify_chain(DEVICE_DER, SIGNER_DER, ROOT.public)


def test_wrong_root() -> None:
    assert code(root=Key.of(5).public) == Code.ROOT_NOT_PINNED
    assert code(signer=signer_certificate(root=Key.of(5))) == Code.ROOT_NOT_PINNED


def test_another_signers_device() -> None:
    assert code(device=device_certificate(signer=Key.of(6))) == Code.CHAIN_INVALID
    assert code(device=device_certificate(signer_id=b"\x00\x35")) == Code.CHAIN_INVALID


def test_another_key() -> None:
    with pytest.raises(CertificateError) as caught:
        verify_chain(DEVICE_DER, SIGNER_DER, ROOT.public, device_public_key=SIGNER.public)
    assert caught.value.code == Code.KEY_MISMATCH


def hex_id(key: Key) -> str:
    return key_id(key.public).hex().upper()


def what(device: bytes = DEVICE_DER, signer: bytes = SIGNER_DER, root: bytes = ROOT.public) -> str:
    with pytest.raises(CertificateError) as caught:
        check(device, signer, root)
    return caught.value.what


def test_what_was_expected_and_found_is_named() -> None:
    other = Key.of(77)
    assert what(root=other.public).endswith(
        f"authorityKeyIdentifier: expected key id {hex_id(other)}, found {hex_id(ROOT)}."
    )
    assert what(device=device_certificate(signer=other)).endswith(
        f"authorityKeyIdentifier: expected key id {hex_id(SIGNER)}, found {hex_id(other)}."
    )
    said = what(device=device_certificate(signer_id=bytes.fromhex("abcd")))
    assert "issuer: expected O='Example Organization' (UTF8String), CN='Example ATECC608A Signer 0034'" in said
    assert "CN='Example ATECC608A Signer ABCD' (UTF8String)." in said
    with pytest.raises(CertificateError) as caught:
        verify_chain(DEVICE_DER, SIGNER_DER, ROOT.public, device_public_key=other.public)
    assert caught.value.what.endswith(f"public key: expected key id {hex_id(other)}, found {hex_id(DEVICE)}.")
    with pytest.raises(CertificateError, match="basicConstraints: expected CA:TRUE, found none"):
        verify_signer(unsuitable_signer(), signer_public_key=SIGNER.public, root_public_key=ROOT.public)


def unsuitable_signer() -> bytes:
    """A certificate of the signer's name and key that its root signed, but which is no CA's."""
    subject = x509.load_der_x509_certificate(SIGNER_DER).issuer
    key = SIGNER.private.public_key()
    builder = x509.CertificateBuilder(subject, subject, key, 5, HOUR, HOUR + timedelta(days=9))
    return builder.sign(ROOT.private, hashes.SHA256()).public_bytes(Encoding.DER)


def test_signer_and_device_certificates_are_not_interchangeable() -> None:
    assert code(device=SIGNER_DER) == Code.CHAIN_INVALID
    assert code(signer=DEVICE_DER) == Code.ROOT_NOT_PINNED


@pytest.mark.parametrize("at", [HOUR - timedelta(seconds=1), datetime(1999, 1, 1, tzinfo=UTC)])
def test_certificate_that_is_not_valid_yet_is_refused(at: datetime) -> None:
    with pytest.raises(CertificateError, match="is valid from") as caught:
        verify_chain(DEVICE_DER, SIGNER_DER, ROOT.public, at=at)
    assert caught.value.code == Code.CHAIN_INVALID


@pytest.mark.parametrize("which", ["device", "signer"])
def test_truncated_at_each_length(which: str) -> None:
    der = {"device": DEVICE_DER, "signer": SIGNER_DER}[which]
    for length in range(len(der)):
        assert code(**{which: der[:length]})


@pytest.mark.slow
@pytest.mark.parametrize("which", ["device", "signer"])
def test_each_flipped_bit_breaks_the_chain(which: str) -> None:
    der = {"device": DEVICE_DER, "signer": SIGNER_DER}[which]
    for bit in range(len(der) * 8):
        flipped = bytearray(der)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        assert code(**{which: bytes(flipped)})


def test_a_ca_as_device_is_refused() -> None:
    subject = default_description("device").subject_name(chip_serial="0" * 18)
    issuer = x509.load_der_x509_certificate(SIGNER_DER).subject
    builder = x509.CertificateBuilder(issuer, subject, DEVICE.private.public_key(), 1, HOUR, HOUR + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    der = builder.sign(SIGNER.private, hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(CertificateError, match="CA certificate"):
        verify_chain(der, SIGNER_DER, ROOT.public)


def test_an_unknown_critical_extension_is_refused() -> None:
    subject = default_description("device").subject_name(chip_serial="0" * 18)
    issuer = x509.load_der_x509_certificate(SIGNER_DER).subject
    builder = x509.CertificateBuilder(issuer, subject, DEVICE.private.public_key(), 1, HOUR, HOUR + timedelta(days=1))
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    der = builder.add_extension(unknown, critical=True).sign(SIGNER.private, hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(CertificateError, match=r"1\.3\.6\.1\.4\.1\.99999\.1"):
        verify_chain(der, SIGNER_DER, ROOT.public)


def root_certificate(key: Key = ROOT, *, name_of: str = "root", identifier: bytes = b"") -> bytes:
    description = default_description("root")
    name = default_description("root").subject_name()
    if name_of != "root":
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name_of)])
    identifier = identifier or key_id(key.public)
    builder = x509.CertificateBuilder(name, name, key.private.public_key(), 7, HOUR, HOUR + timedelta(days=9))
    builder = description.extensions.add(builder, key_id=identifier, issuer_key_id=identifier)
    return builder.sign(ROOT.private, hashes.SHA256()).public_bytes(Encoding.DER)


def test_root() -> None:
    assert verify_root(root_certificate()) == ROOT.public
    verify_root(root_certificate(), ROOT.public)
    with pytest.raises(CertificateError) as caught:
        verify_root(root_certificate(), SIGNER.public)
    assert caught.value.code == Code.ROOT_NOT_PINNED
    with pytest.raises(CertificateError, match="not signed"):
        verify_root(root_certificate(Key.of(9)))
    with pytest.raises(CertificateError, match="not signed"):
        verify_root(DEVICE_DER)


def test_root_with_another_key_id_is_refused() -> None:
    with pytest.raises(CertificateError, match="subject key id"):
        verify_root(root_certificate(identifier=bytes(20)))


def test_signer_under_its_root_certificate() -> None:
    verify_under_root(SIGNER_DER, root_certificate())
    with pytest.raises(CertificateError, match="has another issuer"):
        verify_under_root(SIGNER_DER, root_certificate(name_of="Somebody else"))
    with pytest.raises(CertificateError, match="not signed"):
        verify_under_root(signer_certificate(root=Key.of(5)), root_certificate())
    with pytest.raises(CertificateError, match="not usable"):
        verify_under_root(SIGNER_DER[:-1], root_certificate())


@pytest.mark.parametrize("critical", [False, True])
def test_alternative_name_that_cannot_be_read_is_passed_over_unless_it_is_critical(critical: bool) -> None:
    """Microchip writes an underscore into a PrintableString, which `cryptography` refuses to read."""
    name = bytes.fromhex("3021a41f301d311b301906035504051312") + b"eui48_E8EB1B202027"
    alternative = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, name)
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("a root", "a signer", "a device")]
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    signer = (
        x509.CertificateBuilder(names[0], names[1], SIGNER.private.public_key(), 1, begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(ROOT.private, hashes.SHA256())
    )
    device = (
        x509.CertificateBuilder(names[1], names[2], DEVICE.private.public_key(), 2, begin, end)
        .add_extension(alternative, critical=critical)
        .sign(SIGNER.private, hashes.SHA256())
    )
    device_der, signer_der = (each.public_bytes(Encoding.DER) for each in (device, signer))
    if not critical:
        verify_chain(device_der, signer_der, ROOT.public)
        return
    with pytest.raises(CertificateError, match="critical extension"):
        verify_chain(device_der, signer_der, ROOT.public)
