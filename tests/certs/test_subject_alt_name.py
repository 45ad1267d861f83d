"""Subject alternative names with the chip's serial number: what is refused, and what other programs read in them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.x509.verification import ClientVerifier, PolicyBuilder, Store, VerificationError

from atcaprov import Code, UsageError
from atcaprov.certs.compress import compress
from atcaprov.certs.definitions.definition import Transform
from atcaprov.certs.descriptions.description import (
    CertificateDescription,
    default_description,
    default_text,
    description_document,
)
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import self_signed
from tests.certs.test_wheel_judge import put_on_chip
from tests.support import atcacert
from tests.support.certificates import CHIP_SERIAL, DEVICE, HOUR, NOW, ROOT, SIGNER, SIGNER_ID
from tests.support.external_cas import openssl
from tests.support.random_units import Unit, issued_unit
from tests.support.stock_cryptoauthlib import Wheel

EXAMPLE: Final = Path(__file__).parents[2] / "configs" / "certificates" / "device-with-alternative-name.toml"
PLAIN: Final = default_text("device")
SERIAL: Final = CHIP_SERIAL.hex().upper()
HARDWARE_MODULE_NAME: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")


def named(table: str) -> str:
    return PLAIN.replace("[slots]", f"[subject_alt_name]\n{table}\n[slots]")


def unit(text: str) -> Unit:
    """Return a product whose device certificate follows the description `text`."""
    signer, device = default_description("signer"), CertificateDescription.from_toml(text)
    signer_def = signer_definition(signer, root_name=default_description("root").subject_name(), at=NOW)
    device_def = device_definition(device, signer=signer, at=NOW)
    return issued_unit(signer_def, device_def, (ROOT, SIGNER, DEVICE), SIGNER_ID, CHIP_SERIAL, HOUR)


def alternative_name(certificate: bytes) -> x509.SubjectAlternativeName:
    parsed = x509.load_der_x509_certificate(certificate)
    return parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_each_kind_names_the_chip() -> None:
    names = alternative_name(unit(EXAMPLE.read_text()).device.der)
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"urn:example:device:{SERIAL}"]
    assert names.get_values_for_type(x509.DNSName) == [f"{SERIAL.lower()}.devices.example.com"]
    (directory_name,) = names.get_values_for_type(x509.DirectoryName)
    assert directory_name.rfc4514_string() == f"2.5.4.5={SERIAL}"
    (other,) = names.get_values_for_type(x509.OtherName)
    assert other.type_id == HARDWARE_MODULE_NAME
    # SEQUENCE { OBJECT IDENTIFIER 1.3.6.1.4.1.32473.1, OCTET STRING of 9 bytes } (RFC 4108, 5)
    assert other.value.hex().upper() == f"3016 0609 2B0601040181FD5901 0409 {SERIAL}".replace(" ", "")


def test_openssl_shows_the_names(tmp_path: Path) -> None:
    path = tmp_path / "device.der"
    path.write_bytes(unit(EXAMPLE.read_text()).device.der)
    shown = openssl("x509", "-inform", "DER", "-in", path, "-noout", "-ext", "subjectAltName").stdout
    assert f"URI:urn:example:device:{SERIAL}, DNS:{SERIAL.lower()}.devices.example.com" in shown
    assert f"DirName:/serialNumber={SERIAL}" in shown.replace("DirName:serialNumber = ", "DirName:/serialNumber=")
    parsed = openssl("asn1parse", "-inform", "DER", "-in", path, "-strparse", str(offset_of_names(path))).stdout
    assert f"[HEX DUMP]:{SERIAL}" in parsed
    assert "OBJECT            :1.3.6.1.4.1.32473.1" in parsed


def offset_of_names(path: Path) -> int:
    lines = openssl("asn1parse", "-inform", "DER", "-in", path).stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if "X509v3 Subject Alternative Name" in line)
    return int(lines[at + 1].split(":")[0])


def client_verifier(at_unit: Unit) -> tuple[ClientVerifier, x509.Certificate, list[x509.Certificate]]:
    root = x509.load_der_x509_certificate(self_signed(default_description("root"), SoftwareKey(ROOT.private), NOW))
    device, signer = (x509.load_der_x509_certificate(each.der) for each in (at_unit.device, at_unit.signer))
    return PolicyBuilder().store(Store([root])).time(NOW).build_client_verifier(), device, [signer]


def test_the_client_verifier_of_cryptography_accepts_and_returns_the_names() -> None:
    verifier, device, signers = client_verifier(unit(EXAMPLE.read_text()))
    verified = verifier.verify(device, signers)
    assert verified.subjects is not None
    assert x509.UniformResourceIdentifier(f"urn:example:device:{SERIAL}") in verified.subjects
    assert len(verified.chain) == 3


def test_the_client_verifier_of_cryptography_wants_a_name() -> None:
    verifier, device, signers = client_verifier(unit(PLAIN))
    with pytest.raises(VerificationError, match="missing required extension"):
        verifier.verify(device, signers)


ALL_EIGHT: Final = named(
    'uri = "urn:{chip_serial}:{chip_serial_lower}"\ndns_name = "a{chip_serial}.b{chip_serial_lower}.example"\n'
    'directory_name = { serial_number = "{chip_serial}{chip_serial_lower}" }\nhardware_module_type = "2.999.1"'
)


@pytest.mark.parametrize("text", [EXAMPLE.read_text(), ALL_EIGHT], ids=["example", "eight times"])
def test_the_library_rebuilds_the_certificate(text: str, wheel: Wheel) -> None:
    made = unit(text)
    put_on_chip(wheel, made)
    definition = atcacert.c_definition(made.device_definition)
    assert atcacert.read_certificate(wheel, definition, SIGNER.public) == made.device.der
    assert atcacert.compress(definition, made.device.der) == made.device.compressed
    again = compress(made.device_definition, made.device.der, ca_public_key=SIGNER.public, chip_serial=CHIP_SERIAL)
    assert again == made.device.compressed


def test_the_extension_is_the_last_one() -> None:
    parsed = x509.load_der_x509_certificate(unit(EXAMPLE.read_text()).device.der)
    last = parsed.extensions[len(parsed.extensions) - 1]
    assert isinstance(last.value, x509.SubjectAlternativeName)
    assert not last.critical


def test_raw_serial_numbers_need_no_transform() -> None:
    text = named('hardware_module_type = "1.3.6.1.4.1.32473.1"').replace(" {chip_serial}", "")
    definition = unit(text).device_definition
    assert [element.transforms[0] for element in definition.cert_elements] == [Transform.NONE, Transform.NONE]


def test_a_description_survives_its_document() -> None:
    found = CertificateDescription.from_toml(EXAMPLE.read_text())
    assert CertificateDescription.from_document(description_document(found)) == found


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "subject_alt_name must have at least one name"),
        ('email = "a@example.com"', "subject_alt_name.email is unknown"),
        ("uri = 3", "subject_alt_name.uri must be a string"),
        ('uri = "{chip_serial}"', "subject_alt_name.uri must be a URI with its scheme"),
        ('uri = "urn:a b"', "subject_alt_name.uri must be a URI with its scheme"),
        ('uri = "urn:gerät"', "subject_alt_name.uri must be a URI with its scheme"),
        ('uri = "urn:{signer_id}"', "placeholder {signer_id}"),
        (f'uri = "urn:{"x" * 200}"', "subject_alt_name.uri has 204 characters; 200 are possible"),
        ('dns_name = "a..example"', "subject_alt_name.dns_name must be a host name"),
        ('dns_name = "-a.example"', "subject_alt_name.dns_name must be a host name"),
        ('dns_name = "a_b.example"', "subject_alt_name.dns_name must be a host name"),
        (f'dns_name = "{"x" * 64}.example"', "subject_alt_name.dns_name must be a host name"),
        ("directory_name = {}", "subject_alt_name.directory_name must have at least one attribute"),
        ('directory_name = "CN=x"', "subject_alt_name.directory_name must be a map"),
        ('directory_name = { serial_number = "a_b" }', "directory_name.serial_number may have letters"),
        ('hardware_module_type = "1"', "subject_alt_name.hardware_module_type must be an object id"),
        ('hardware_module_type = "1.40.1"', "subject_alt_name.hardware_module_type must be an object id"),
        ("hardware_module_type = 1.3", "subject_alt_name.hardware_module_type must be an object id"),
        (f'uri = "urn:{"{chip_serial}" * 8}"', "use the chip's serial number 9 times; a definition holds 8"),
    ],
)
def test_refused_names_are_told(table: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        CertificateDescription.from_toml(named(table))
    assert caught.value.code == Code.DEFINITION_INVALID
    assert message in caught.value.what


@pytest.mark.parametrize("role", ["root", "signer"])
def test_certificates_of_cas_have_none(role: str) -> None:
    text = default_text("root" if role == "root" else "signer")
    with pytest.raises(UsageError, match="subject_alt_name is not known"):
        CertificateDescription.from_toml(f'{text}\n[subject_alt_name]\nuri = "urn:example"\n')


def test_a_name_that_looks_like_the_placeholder_is_refused() -> None:
    text = named('uri = "urn:5A17C0DE5A17C0DE5A:{chip_serial}"')
    with pytest.raises(UsageError, match="must not hold 5A17C0DE5A17C0DE5A"):
        unit(text)
