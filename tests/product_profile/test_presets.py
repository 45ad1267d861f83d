"""Certificates of the presets, judged by programs of others."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store

from atcaprov.certs.compress import NoCompressedFormError, compress
from atcaprov.certs.derivation.derive import derive
from atcaprov.certs.derivation.request import DefinitionRequest
from atcaprov.certs.descriptions.description import Slots, default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.product_profile.preset import PRESETS
from atcaprov.product_profile.profile_file import profile_from_toml
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import self_signed
from tests.certs.conftest import SLOTS
from tests.certs.test_wheel_judge import put_on_chip
from tests.product_profile.profiles import FITTING, JUDGED
from tests.support import atcacert
from tests.support.certificates import CHIP_SERIAL, DEVICE, HOUR, NOW, ROOT, SIGNER, SIGNER_ID
from tests.support.chips import awake_chip, configured_memory
from tests.support.external_cas import openssl
from tests.support.random_units import Unit, issued_unit
from tests.support.stock_cryptoauthlib import driven

SERIAL: Final = CHIP_SERIAL.hex().upper()


def unit(name: str) -> Unit:
    """Return a unit with certificates of a preset, below the default signer and root."""
    signer = default_description("signer")
    device = profile_from_toml(PRESETS[name].text, Path("preset.toml")).certificate
    signer_def = signer_definition(signer, root_name=default_description("root").subject_name(), at=NOW)
    device_def = device_definition(device, signer=signer, at=NOW)
    return issued_unit(signer_def, device_def, (ROOT, SIGNER, DEVICE), SIGNER_ID, CHIP_SERIAL, HOUR)


def root_certificate() -> bytes:
    return self_signed(default_description("root"), SoftwareKey(ROOT.private), NOW)


def subject_of(name: str) -> dict[str, str]:
    parsed = x509.load_der_x509_certificate(unit(name).device.der)
    return {attribute.oid._name: str(attribute.value) for attribute in parsed.subject}


@pytest.mark.parametrize("name", JUDGED)
def test_openssl_accepts_the_certificate_for_a_tls_client(name: str, tmp_path: Path) -> None:
    made = unit(name)
    for file, der in {"root": root_certificate(), "signer": made.signer.der, "device": made.device.der}.items():
        pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
        (tmp_path / f"{file}.pem").write_bytes(pem)
    ended = openssl(
        "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", tmp_path / "root.pem",
        "-untrusted", tmp_path / "signer.pem", tmp_path / "device.pem",
    )  # fmt: skip
    assert "device.pem: OK" in ended.stdout


@pytest.mark.parametrize("name", JUDGED)
def test_verifier_of_cryptography_accepts_the_chain(name: str) -> None:
    made = unit(name)
    device, signer, root = (
        x509.load_der_x509_certificate(der) for der in (made.device.der, made.signer.der, root_certificate())
    )
    # Python's usual policy for clients wants an extended key usage or none, and a subject alternative name.
    verifier = PolicyBuilder().store(Store([root])).time(NOW).build_client_verifier()
    assert len(verifier.verify(device, [signer]).chain) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTING)
def test_vendors_library_rebuilds_the_certificate(name: str) -> None:
    made = unit(name)
    with driven(awake_chip(configured_memory(slots=SLOTS))) as wheel:
        put_on_chip(wheel, made)
        definition = atcacert.c_definition(made.device_definition)
        assert atcacert.read_certificate(wheel, definition, SIGNER.public) == made.device.der
        assert atcacert.compress(definition, made.device.der) == made.device.compressed


def test_idevid_has_what_8021ar_asks_for() -> None:
    parsed = x509.load_der_x509_certificate(unit("idevid").device.der)
    assert subject_of("idevid")["serialNumber"] == SERIAL
    assert parsed.not_valid_after_utc == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    (name,) = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert isinstance(name, x509.OtherName)
    assert name.type_id.dotted_string == "1.3.6.1.5.5.7.8.4"
    with pytest.raises(x509.ExtensionNotFound):
        parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage)


def test_azure_registration_id_is_allowed() -> None:
    """At most 64 letters, digits and - . _ : with a letter, a digit or - at the end; lower case."""
    assert re.fullmatch(r"[a-z0-9._:-]{0,63}[a-z0-9-]", subject_of("azure-dps")["commonName"])


def test_aws_template_parameters_are_in_the_subject() -> None:
    subject = subject_of("aws-iot")
    assert {"commonName", "organizationName", "serialNumber"} == set(subject)
    assert re.fullmatch(r"[a-zA-Z0-9:_-]{1,128}", subject["commonName"])


def test_matter_ids_stand_in_the_common_name() -> None:
    """The rule for a CA without Matter's attributes: a prefix and exactly four upper-case digits, each once."""
    name = subject_of("matter-dac")["commonName"]
    assert re.findall(r"Mvid:([0-9A-F]{4})(?![0-9A-Fa-f])", name) == ["FFF1"]
    assert re.findall(r"Mpid:([0-9A-F]{4})(?![0-9A-Fa-f])", name) == ["8000"]
    made = unit("matter-dac").device.der
    assert len(made) <= 600
    usage = x509.load_der_x509_certificate(made).extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert [usage.value.key_agreement, usage.value.content_commitment] == [False, False]


def product_unit(number: int) -> bytes:
    """Return a certificate with the shape of Qi's: a number of its own in a critical extension, and nothing else."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "011430")])
    builder = x509.CertificateBuilder(name, name, DEVICE.private.public_key(), number)
    builder = builder.not_valid_before(HOUR).not_valid_after(datetime(9999, 12, 31, 23, 59, 59))
    value = b"\x04\x09" + number.to_bytes(9, "big")
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.23.148.1.2"), value)
    signed = builder.add_extension(extension, critical=True).sign(SIGNER.private, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def test_qi_certificates_have_no_common_definition() -> None:
    """The reason for which the preset is refused: one definition does not give two of them."""
    request = DefinitionRequest("qi", 7, 0, Slots(10, private_key=0), serial_slot=(14, 0))
    first = derive(product_unit(0x11223344556677), request).definition
    with pytest.raises(NoCompressedFormError, match=r"2\.23\.148\.1\.2"):
        compress(first, product_unit(0x11223344556678), ca_public_key=SIGNER.public)
