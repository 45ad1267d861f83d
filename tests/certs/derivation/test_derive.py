"""Definitions derived from certificates: of random products, of the genuine one of 2015, and what is refused."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import CertificateError, Code
from atcaprov.certs.dates import encode_dates
from atcaprov.certs.definitions.definition import CertificateDefinition, DeviceZone, SerialSource, StdElement
from atcaprov.certs.derivation.chip_parts import StoredText
from atcaprov.certs.derivation.derive import derive
from atcaprov.certs.derivation.description import describe, description_toml
from atcaprov.certs.derivation.request import DefinitionRequest, DerivedDefinition
from atcaprov.certs.descriptions.description import CertificateDescription, Slots, default_text
from atcaprov.certs.issue import issue
from atcaprov.certs.keys import key_id, load_public_key
from atcaprov.certs.serial_number import generate
from atcaprov.inspection.certificates import x509_writer as write
from tests.certs.test_wheel_judge import put_on_chip
from tests.support import atcacert
from tests.support.certificates import CHIP_SERIAL, DEVICE, ROOT, SIGNER, Key, vector
from tests.support.random_units import Unit, random_unit
from tests.support.stock_cryptoauthlib import Wheel

SIGNER_SLOTS, DEVICE_SLOTS = Slots(12, public_key=11), Slots(10, private_key=0)


def slots_of(definition: CertificateDefinition) -> Slots:
    key = definition.public_key_dev_loc
    if definition.role == "signer":
        return Slots(definition.comp_cert_dev_loc.slot, public_key=key.slot)
    return Slots(definition.comp_cert_dev_loc.slot, private_key=key.slot)


def derived(unit: Unit, role: str) -> DerivedDefinition:
    is_signer = role == "signer"
    definition = unit.signer_definition if is_signer else unit.device_definition
    request = DefinitionRequest(
        definition.name,
        definition.template_id,
        definition.chain_id,
        slots_of(definition),
        issuer_public_key=(unit.root_key if is_signer else unit.signer_key).public,
        issuer_definition=definition.ca_cert_def,
        chip_serial=None if is_signer else unit.chip_serial,
    )
    return derive((unit.signer if is_signer else unit.device).der, request)


def check_same(found: CertificateDefinition, original: CertificateDefinition) -> None:
    """Compare all that does not vary from one certificate to the next."""
    for name in ("template_id", "chain_id", "sn_source", "issue_date_format", "expire_date_format", "expire_years"):
        assert getattr(found, name) == getattr(original, name), name
    for name in ("tbs_cert_loc", "public_key_dev_loc", "comp_cert_dev_loc", "private_key_slot", "ca_cert_def"):
        assert getattr(found, name) == getattr(original, name), name
    assert found.std_cert_elements == original.std_cert_elements
    places = [(each.device_loc, each.cert_loc, each.transforms) for each in original.cert_elements]
    assert [(each.device_loc, each.cert_loc, each.transforms) for each in found.cert_elements] == places


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 64))
@pytest.mark.slow
def test_definitions_of_random_products_come_back(seed: int) -> None:
    unit = random_unit(random.Random(seed))
    signer, device = derived(unit, "signer"), derived(unit, "device")
    check_same(signer.definition, unit.signer_definition)
    check_same(device.definition, unit.device_definition)
    assert (signer.compressed, device.compressed) == (unit.signer.compressed, unit.device.compressed)
    # It issues the next product as the original does.
    for found, original, issuer, subject in (
        (signer, unit.signer_definition, unit.root_key, SIGNER),
        (device, unit.device_definition, unit.signer_key, DEVICE),
    ):
        last = min(found.definition.last_issue_year, original.last_issue_year)
        digests = [next_digest(each, issuer, subject, last) for each in (found.definition, original)]
        assert digests[0] == digests[1]


def next_digest(definition: CertificateDefinition, issuer: Key, subject: Key, year: int) -> bytes:
    signed: list[bytes] = []

    def sign(digest: bytes) -> bytes:
        signed.append(digest)
        return issuer.sign(digest)

    issue(
        definition,
        subject_public_key=subject.public,
        ca_public_key=issuer.public,
        signer_id=b"\xab\xcd",
        issue_date=datetime(year, 3, 4, 5, tzinfo=UTC),
        chip_serial=CHIP_SERIAL if definition.role == "device" else None,
        sign=sign,
    )
    return signed[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 64))
@pytest.mark.slow
def test_descriptions_of_random_products_come_back(seed: int) -> None:
    unit = random_unit(random.Random(seed))
    made = derived(unit, "signer")
    signer = describe(unit.signer.der, made, slots_of(unit.signer_definition), unit.root_key.public)
    assert signer.description is not None, signer.why_not
    again = CertificateDescription.from_toml(description_toml(signer.description))
    assert again == signer.description
    made = derived(unit, "device")
    device = describe(
        unit.device.der, made, slots_of(unit.device_definition), unit.signer_key.public, signer.description
    )
    assert device.description is not None, device.why_not
    assert CertificateDescription.from_toml(description_toml(device.description)) == device.description


@pytest.mark.slow
def test_the_library_rebuilds_with_derived_definitions(wheel: Wheel) -> None:
    source = random.Random(12)
    for _ in range(10):
        unit = random_unit(source)
        put_on_chip(wheel, unit)
        for role, key, expected in (
            ("signer", unit.root_key.public, unit.signer.der),
            ("device", unit.signer_key.public, unit.device.der),
        ):
            definition = atcacert.c_definition(derived(unit, role).definition)
            assert atcacert.read_certificate(wheel, definition, key) == expected


def test_the_genuine_certificate_of_2015() -> None:
    """Its serial number has a constant byte behind 16 generated ones; its definition is a published one."""
    case = vector("signer-certificate")["signer"]
    request = DefinitionRequest("signer", 1, 0, SIGNER_SLOTS, issuer_public_key=bytes.fromhex(case["ca_public_key"]))
    found = derive(bytes.fromhex(case["der"]), request)
    assert found.compressed.hex() == case["compressed"]
    elements = case["definition"]["elements_offset_count"]
    for element in StdElement:
        location = found.definition.element(element)
        assert [location.offset, location.count] == elements.get(element.name, [0, 0]), element
    assert found.definition.sn_source is SerialSource.PUB_KEY_HASH
    assert found.notes == ()


def test_a_maker_certificate_with_texts_of_slots() -> None:
    """A genuine ATECC608B-TNGTLS (nerves-hub/atecc508a, see the vector): serial number and address stand in names."""
    case = vector("stored-certificates")["cases"]["tngtls"]
    slots = {int(slot): bytes.fromhex(content) for slot, content in case["slots"].items()}
    signer_key = slots[11][4:36] + slots[11][40:72]
    request = DefinitionRequest(
        "device", 3, 0, DEVICE_SLOTS, issuer_public_key=signer_key, texts=(StoredText(5, 0, slots[5][:12]),)
    )
    found = derive(bytes.fromhex(case["device"]), request)
    assert found.compressed == slots[10][:72]
    assert found.chip_serial == bytes.fromhex(case["serial_number"])
    described = describe(bytes.fromhex(case["device"]), found, DEVICE_SLOTS, signer_key)
    assert described.description is None, "its address has an underscore in a PrintableString"
    assert described.why_not == "its names or extensions are not what X.509 allows"
    zones = [element.device_loc.zone for element in found.definition.cert_elements]
    assert zones == [DeviceZone.CONFIG, DeviceZone.CONFIG, DeviceZone.DATA]


def test_without_the_issuer_signature_and_authority_key_id_are_not_checked() -> None:
    case = vector("signer-certificate")["signer"]
    found = derive(bytes.fromhex(case["der"]), DefinitionRequest("signer", 1, 0, SIGNER_SLOTS))
    assert found.compressed.hex() == case["compressed"]
    assert found.definition.element(StdElement.AUTH_KEY_ID).count == 20
    assert found.notes == ("The signature was not checked: the issuer's certificate was not given.",)


BEGIN: Final = datetime(2026, 6, 1, 8, tzinfo=UTC)


def made_by_a_ca(
    *,
    begin: datetime = datetime(2026, 6, 1, 8, tzinfo=UTC),
    end: datetime = datetime(2036, 6, 1, 8, tzinfo=UTC),
    issuer: str = "Signer 0034",
    serial: int = 0x44556677889900112233,
    subject_id: bytes | None = None,
    authority_id: bytes | None = None,
    names: list[x509.GeneralName] | None = None,
    title: str = "",
) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)])
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, f"sn{CHIP_SERIAL.hex().upper()}")]
    if title:
        subject.append(x509.NameAttribute(x509.NameOID.TITLE, title))
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=x509.Name(subject),
        public_key=load_public_key(DEVICE.public),
        serial_number=serial,
        not_valid_before=begin,
        not_valid_after=end,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    identifier = x509.SubjectKeyIdentifier(subject_id or key_id(DEVICE.public))
    authority = x509.AuthorityKeyIdentifier(authority_id or key_id(SIGNER.public), None, None)
    builder = builder.add_extension(identifier, critical=False).add_extension(authority, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(SIGNER.private, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_certificate_that_no_description_makes_says_why() -> None:
    certificate = made_by_a_ca()
    found = derive(certificate, REQUEST)
    why = describe(certificate, found, DEVICE_SLOTS, SIGNER.public).why_not
    assert "serial_number must be PUB_KEY_HASH or DEVICE_SN_HASH or DEVICE_SN for a device" in why


@pytest.mark.parametrize("extension", ["551d11", "551d13"])
def test_an_extension_that_stands_twice_is_told(extension: str) -> None:
    serial = write.directory_alternative_name((("serialNumber", CHIP_SERIAL.hex().upper()),), write.PRINTABLE_STRING)
    twice = (serial, serial) if extension == "551d11" else (write.basic_constraints(), write.basic_constraints())
    number = generate(
        SerialSource.PUB_KEY_HASH,
        16,
        public_key=DEVICE.public,
        chip_serial=None,
        signer_id=b"",
        dates=encode_dates(BEGIN, 10, 0)[0],
    )
    fields = write.CertificateFields(
        serial_number=number,
        issuer=write.name((("CN", "Signer 0034"),)),
        not_before=write.date(BEGIN),
        not_after=write.date(BEGIN.replace(year=2036)),
        subject=write.name((("CN", "device"),)),
        public_key=DEVICE.public,
        extensions=twice,
    )
    certificate = fields.signed(SIGNER.sign(bytes(32)))
    request = DefinitionRequest("device", 2, 0, DEVICE_SLOTS)
    found = derive(certificate, request)
    signer = CertificateDescription.from_toml(default_text("signer"))
    assert describe(certificate, found, DEVICE_SLOTS, None, signer).why_not


REQUEST = DefinitionRequest("device", 2, 0, DEVICE_SLOTS, issuer_public_key=SIGNER.public, serial_slot=(14, 0))


def test_a_serial_number_of_the_cas_own_is_kept_in_a_slot() -> None:
    found = derive(made_by_a_ca(), REQUEST)
    location = found.definition.cert_sn_dev_loc
    assert (location.zone, location.slot, location.offset, location.count) == (DeviceZone.DATA, 14, 0, 10)
    assert found.chip_serial == CHIP_SERIAL


def test_a_signer_without_id_is_noted() -> None:
    found = derive(made_by_a_ca(issuer="Our CA"), REQUEST)
    assert found.definition.element(StdElement.SIGNER_ID).count == 0
    assert "does not end in a signer id" in found.notes[0]


@pytest.mark.parametrize(
    ("changes", "problem", "advice"),
    [
        (
            {"begin": datetime(2026, 6, 1, 8, 15, tzinfo=UTC)},
            "notBefore: 2026-06-01 08:15:00 is not",
            "20260601080000Z",
        ),
        ({"begin": datetime(1999, 6, 1, 8, tzinfo=UTC)}, "notBefore: 1999 is outside 2000", "one of these years"),
        ({"end": datetime(2036, 6, 1, 7, 59, 59, tzinfo=UTC)}, "notAfter: 2036-06-01 07:59:59", "20360601080000Z"),
        ({"end": datetime(2036, 5, 30, 8, tzinfo=UTC)}, "notAfter: 2036-05-30 08:00:00", "20360601080000Z"),
        ({"end": datetime(2154, 6, 1, 8, tzinfo=UTC)}, "notAfter: 2154-06-01", "21530601080000Z"),
        (
            {"begin": datetime(2028, 2, 29, 8, tzinfo=UTC), "end": datetime(2029, 3, 1, 8, tzinfo=UTC)},
            "notAfter: 2029-03-01",
            "20290228080000Z",
        ),
        ({"subject_id": bytes(20)}, "subject key id: 00000", "subjectKeyIdentifier = hash"),
    ],
)
def test_what_the_compressed_form_cannot_hold_is_named(changes: dict[str, object], problem: str, advice: str) -> None:
    with pytest.raises(CertificateError) as caught:
        derive(made_by_a_ca(**changes), REQUEST)  # type: ignore[arg-type]
    assert caught.value.code == Code.CERTIFICATE_MISMATCH
    assert problem in caught.value.what
    assert advice in caught.value.advice


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([x509.RFC822Name("a@example.com")], "a description cannot hold a RFC822Name as alternative name"),
        ([x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))], "a description cannot hold a RegisteredID"),
    ],
)
def test_alternative_names_that_no_description_has_are_told(names: list[x509.GeneralName], why: str) -> None:
    certificate = made_by_a_ca(names=names)
    assert describe(certificate, derive(certificate, REQUEST), DEVICE_SLOTS, SIGNER.public).why_not.startswith(why)


def test_an_attribute_that_no_description_has_is_told() -> None:
    certificate = made_by_a_ca(title="Engineer")
    why = describe(certificate, derive(certificate, REQUEST), DEVICE_SLOTS, SIGNER.public).why_not
    assert why == "a description cannot hold the attribute 2.5.4.12"


def test_another_authority_key_id_is_constant() -> None:
    found = derive(made_by_a_ca(authority_id=bytes(range(20))), REQUEST)
    assert found.definition.element(StdElement.AUTH_KEY_ID).count == 0
    assert "The authority key id is not the SHA-1 of the issuer's key" in found.notes[0]


def test_a_serial_number_from_nowhere_needs_a_slot() -> None:
    request = DefinitionRequest("device", 2, 0, DEVICE_SLOTS, issuer_public_key=SIGNER.public)
    with pytest.raises(CertificateError, match="serial number: 44556677889900112233 follows neither") as caught:
        derive(made_by_a_ca(), request)
    assert "--serial-slot" in caught.value.advice


def test_a_text_that_the_certificate_does_not_have_is_refused() -> None:
    request = replace(REQUEST, texts=(StoredText(5, 0, b"0004A3"),))
    with pytest.raises(CertificateError, match="stored text: '0004A3' is not in the certificate"):
        derive(made_by_a_ca(), request)


def test_a_serial_number_of_the_chip_that_stands_nowhere_is_noted() -> None:
    found = derive(made_by_a_ca(), replace(REQUEST, chip_serial=bytes(9)))
    assert "The chip's serial number is neither in the subject nor in the extensions." in found.notes


def test_a_certificate_of_another_issuer_is_refused() -> None:
    request = DefinitionRequest("device", 2, 0, DEVICE_SLOTS, issuer_public_key=ROOT.public, serial_slot=(14, 0))
    with pytest.raises(CertificateError, match="signature: it does not verify"):
        derive(made_by_a_ca(), request)


@given(st.binary(max_size=600))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(CertificateError):
        derive(data, REQUEST)


def test_truncated_and_damaged_certificates_are_refused_or_another_definition() -> None:
    certificate = made_by_a_ca()
    for length in range(len(certificate)):
        with pytest.raises(CertificateError):
            derive(certificate[:length], REQUEST)
    for bit in range(0, 8 * len(certificate), 5):
        changed = bytearray(certificate)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CertificateError):
            derive(bytes(changed), REQUEST)  # its signature does not verify
