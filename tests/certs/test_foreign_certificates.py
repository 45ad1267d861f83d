"""A certificate that was made elsewhere is refused with each field that differs, expected and found.

The table changes a good certificate of a device and of a signer field by field; `cryptography` reads the same values.
"""

from __future__ import annotations

import random
import re
import subprocess
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError, Code
from atcaprov.certs.certificate_fields import certificate_fields
from atcaprov.certs.compress import compress
from atcaprov.certs.descriptions.description import default_description
from atcaprov.provisioning.certificate_reply import require_equal
from signer_module.external_ca.request_and_certificate import external_document
from signer_module.signer_description import SignerDescriptions
from tests.support.certificates import CHIP_SERIAL, DEVICE, HOUR, ROOT, SIGNER
from tests.support.company_ca import ROOT_CERTIFICATE
from tests.support.der_tree import Node
from tests.support.foreign_certificates import (
    COMMON_NAME,
    DEVICE_CHANGES,
    DEVICE_DEFINITION,
    EXTENSIONS,
    INNER_ALGORITHM,
    ISSUER,
    KEY,
    NAMES,
    OF_DEVICE,
    OF_SIGNER,
    ORGANIZATION,
    SERIAL,
    SIGNER_CHANGES,
    SIGNER_DEFINITION,
    SUBJECT,
    TBS,
    VALIDITY,
    VERSION,
    Change,
    attribute,
    changed,
    content,
    part_about,
    without,
)
from tests.support.random_units import random_unit
from tests.support.system_programs import require_program


def refused_device(certificate: bytes) -> str:
    with pytest.raises(CertificateError) as caught:
        compress(
            DEVICE_DEFINITION,
            certificate,
            ca_public_key=SIGNER.public,
            public_key=DEVICE.public,
            chip_serial=CHIP_SERIAL,
        )
    assert caught.value.code == Code.CERTIFICATE_MISMATCH
    return caught.value.what


def refused_signer(certificate: bytes) -> str:
    with pytest.raises(CertificateError) as caught:
        compress(SIGNER_DEFINITION, certificate, ca_public_key=ROOT.public, public_key=SIGNER.public)
    assert caught.value.code == Code.CERTIFICATE_MISMATCH
    return caught.value.what


@pytest.mark.parametrize(
    ("change", "field", "expected", "found"),
    [row[1:] for row in DEVICE_CHANGES],
    ids=[row[0] for row in DEVICE_CHANGES],
)
def test_each_changed_field_of_a_device_certificate_is_named(
    change: Change, field: str, expected: str, found: str
) -> None:
    said = part_about(refused_device(changed(OF_DEVICE, change)), field)
    wanted, got = said.removeprefix(f"{field}: expected ").split(", found ", 1)
    assert expected in wanted, said
    assert found in got, said
    assert len(said) < 330, said


@pytest.mark.parametrize(
    ("change", "field", "expected", "found"),
    [row[1:] for row in SIGNER_CHANGES],
    ids=[row[0] for row in SIGNER_CHANGES],
)
def test_each_changed_field_of_a_signer_certificate_is_named(
    change: Change, field: str, expected: str, found: str
) -> None:
    said = part_about(refused_signer(changed(OF_SIGNER, change)), field)
    wanted, got = said.removeprefix(f"{field}: expected ").split(", found ", 1)
    assert expected in wanted, said
    assert found in got, said


@pytest.mark.parametrize(
    ("change", "field", "found"),
    [(row[1], row[2], row[4]) for row in DEVICE_CHANGES],
    ids=[row[0] for row in DEVICE_CHANGES],
)
def test_stage_10_names_each_changed_field(change: Change, field: str, found: str) -> None:
    """So do the check of a server's reply and that of a signer's folder, which compare in the same way."""
    with pytest.raises(CertificateError) as caught:
        require_equal(DEVICE_DEFINITION, OF_DEVICE, changed(OF_DEVICE, change))
    assert caught.value.code == Code.CERTIFICATE_MISMATCH
    said = part_about(caught.value.what, field)
    assert f"{field}: expected " in said
    assert found in said.split(", found ", 1)[1]


@pytest.mark.parametrize(
    ("change", "field", "expected", "found"),
    [row[1:] for row in SIGNER_CHANGES if row[0] != "signer id"],
    ids=[row[0] for row in SIGNER_CHANGES if row[0] != "signer id"],
)
def test_the_import_of_a_signer_names_each_changed_field(change: Change, field: str, expected: str, found: str) -> None:
    descriptions = SignerDescriptions(default_description("signer"), default_description("device"))
    with pytest.raises(CertificateError) as caught:
        external_document(descriptions, changed(OF_SIGNER, change), ROOT_CERTIFICATE, ROOT.public)
    assert caught.value.code == Code.CERTIFICATE_MISMATCH
    said = part_about(caught.value.what, field)
    assert expected in said
    assert found in said.split(", found ", 1)[1]


@pytest.mark.parametrize("certificate", [OF_DEVICE, OF_SIGNER], ids=["device", "signer"])
def test_values_in_words_are_those_that_openssl_prints(certificate: bytes) -> None:
    command = [
        require_program("openssl"),
        "x509",
        "-inform",
        "DER",
        "-noout",
        "-text",
        "-nameopt",
        "multiline,show_type",
    ]
    printed = subprocess.run(command, input=certificate, capture_output=True, check=True).stdout.decode()
    printed = " ".join(printed.split())
    for field in certificate_fields(certificate):
        value = field.text.removesuffix(" (critical)")
        if field.name == "serial number":
            value = value.removesuffix(" (16 bytes)")
            value = ":".join(value[at : at + 2].lower() for at in range(0, 32, 2))
        elif field.name.startswith("not"):
            moment = datetime.strptime(value.split(" UTC")[0], "%Y-%m-%d %H:%M:%S")
            value = f"{moment:%b} {moment.day} {moment:%H:%M:%S %Y} GMT"
        elif field.name.startswith(("issuer ", "subject ")):
            text, kind = value.rsplit(" ", 1)
            value = f"{kind.strip('()').upper()}:{text.strip(chr(39))}"
        elif value.startswith("key id "):
            digits = value.removeprefix("key id ")
            value = ":".join(digits[at : at + 2] for at in range(0, 40, 2))
        elif "basicConstraints" not in field.name and field.name != "signature algorithm":
            continue
        assert value in printed, field


def test_several_changes_are_all_named() -> None:
    def change(tree: Node) -> None:
        content(TBS, VALIDITY, 0, to=b"260601083000Z")(tree)
        without(0, 7, 0, 4)(tree)
        content(*attribute(ISSUER, ORGANIZATION, 1), to=b"Company")(tree)

    what = refused_device(changed(OF_DEVICE, change))
    for field in ("issuer O", "notBefore", "extension authorityKeyIdentifier"):
        assert part_about(what, field)


TREE: Final = Node.read(OF_DEVICE)
PATHS: Final = [path for path in TREE.paths() if path not in ((), (0,))]


def field_of(path: tuple[int, ...]) -> str:
    """Return the beginning of the name of the field in which an element stands."""
    if path[0] != TBS:
        return ("outer signature algorithm", "signature")[path[0] - 1]
    if path[1] in (ISSUER, SUBJECT):
        return {ISSUER: "issuer", SUBJECT: "subject"}[path[1]]
    if path[1] == VALIDITY:
        return ("notBefore", "notAfter")[path[2]] if len(path) > 2 else "validity"
    if path[1] == KEY:
        return ("key algorithm", "public key")[path[2]] if len(path) > 2 else "public key"
    if path[1] == EXTENSIONS:
        return f"extension {NAMES[path[3]]}" if len(path) > 3 else "extension"
    return {VERSION: "version", SERIAL: "serial number", INNER_ALGORITHM: "signature algorithm"}[path[1]]


@pytest.mark.slow
@given(st.sampled_from(PATHS), st.integers(0, 1 << 16), st.integers(0, 7))
def test_a_flipped_bit_in_any_value_names_its_field(path: tuple[int, ...], position: int, bit: int) -> None:
    tree = Node.read(OF_DEVICE)
    node = tree.at(*path)
    if node.children:
        node.tag ^= 1 << bit
    else:
        flipped = bytearray(node.content)
        flipped[position % len(flipped)] ^= 1 << bit
        node.content = bytes(flipped)
    if path == (2,) and node.tag == 3:
        return  # another signature may be a right one: the chain is verified, not compared
    if path == attribute(ISSUER, COMMON_NAME, 1) and re.fullmatch(
        rb"Example ATECC608A Signer [0-9A-F]{4}", node.content
    ):
        return  # so may another signer id
    what = refused_device(tree.bytes())
    parts = what.split(": ", 1)[1].split("; ")
    if path == (0, 4, 0) and not any(part.startswith("notBefore") for part in parts):
        assert "it must be made from the public key and notBefore" in what  # another full hour is as good as this one
        return
    named = [part for part in parts if part.startswith(field_of(path))]
    assert named, (path, what)
    assert ": expected " in named[0], what
    assert ", found " in named[0], what


@pytest.mark.slow
@given(st.sampled_from(PATHS), st.integers(0, 255))
def test_another_tag_of_any_element_names_its_field(path: tuple[int, ...], other: int) -> None:
    tree = Node.read(OF_DEVICE)
    if tree.at(*path).tag == other:
        return
    tree.at(*path).tag = other
    what = refused_device(tree.bytes())
    assert field_of(path).split(" ")[0] in what or field_of(path) in ("version", "validity", "extension"), what


@given(st.binary(max_size=700))
def test_garbage_ends_in_the_certificates_error(garbage: bytes) -> None:
    assert "certificate" in refused_device(garbage)


def test_a_cut_certificate_ends_in_the_certificates_error() -> None:
    for length in range(len(OF_DEVICE)):
        assert refused_device(OF_DEVICE[:length])


@pytest.mark.slow
def test_issued_certificates_of_any_definition_have_their_compressed_form() -> None:
    source = random.Random(20261130)
    for _ in range(60):
        unit = random_unit(source)
        key = unit.signer_key.public
        found = compress(unit.device_definition, unit.device.der, ca_public_key=key, chip_serial=unit.chip_serial)
        assert found == unit.device.compressed


USAGES: Final = {
    "digital_signature": "digitalSignature",
    "content_commitment": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
    "encipher_only": "encipherOnly",
    "decipher_only": "decipherOnly",
}
NEVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.slow
@given(st.data())
def test_values_in_words_are_those_that_cryptography_writes(data: Any) -> None:
    bits = data.draw(st.fixed_dictionaries(dict.fromkeys(USAGES, st.booleans())))
    if not bits["key_agreement"]:
        bits["encipher_only"] = bits["decipher_only"] = False
    path_length = data.draw(st.none() | st.integers(0, 300))
    begin = data.draw(st.datetimes(datetime(1950, 1, 1), datetime(2049, 12, 31), timezones=st.just(UTC))).replace(
        microsecond=0
    )
    organization = data.draw(st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=20))
    host = data.draw(st.from_regex(r"[a-z]{1,20}\.example", fullmatch=True))
    serial = data.draw(st.integers(1, 1 << 150))
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization)])
    builder = x509.CertificateBuilder(name, name, SIGNER.private.public_key(), serial, begin, NEVER)
    for value in (
        x509.BasicConstraints(True, path_length),
        x509.KeyUsage(**bits),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        x509.SubjectAlternativeName([x509.DNSName(host), x509.RFC822Name(f"a@{host}")]),
    ):
        builder = builder.add_extension(value, critical=False)
    certificate = builder.sign(SIGNER.private, hashes.SHA256()).public_bytes(Encoding.DER)
    text = {field.name: field.text for field in certificate_fields(certificate)}
    assert text["subject O"] == f"'{organization}' (UTF8String)"
    assert text["notBefore"] == f"{begin:%Y-%m-%d %H:%M:%S} UTC (UTCTime)"
    assert text["notAfter"] == f"{NEVER:%Y-%m-%d %H:%M:%S} UTC (GeneralizedTime)"
    assert int(text["serial number"].split()[0], 16) == serial
    pathlen = "" if path_length is None else f", pathlen:{path_length}"
    assert text["extension basicConstraints"] == f"CA:TRUE{pathlen}"
    assert text["extension keyUsage"] == (", ".join(USAGES[bit] for bit in USAGES if bits[bit]) or "empty")
    assert text["extension extKeyUsage"] == "serverAuth, clientAuth"
    assert text["extension subjectAltName"] == f"DNS:{host}, email:a@{host}"


def test_a_key_on_another_curve_is_named() -> None:
    private = ec.generate_private_key(ec.SECP384R1())
    description = default_description("signer")
    name, issuer = description.subject_name(signer_id="0034"), default_description("root").subject_name()
    builder = x509.CertificateBuilder(issuer, name, private.public_key(), 0x40 << 120, HOUR, NEVER)
    what = refused_signer(builder.sign(ROOT.private, hashes.SHA384()).public_bytes(Encoding.DER))
    assert "key algorithm: expected id-ecPublicKey P-256, found id-ecPublicKey P-384" in what
    assert "signature algorithm: expected ecdsa-with-SHA256, found ecdsa-with-SHA384" in what
