"""Certificates with the unit's own name: what other programs read in them, and what the vendor's library rebuilds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atcaprov import CertificateError, Code, UsageError
from atcaprov.certs.compress import compress
from atcaprov.certs.definitions.definition import CertificateDefinition, StdElement, Transform
from atcaprov.certs.definitions.fields import DeviceLocation, DeviceZone
from atcaprov.certs.descriptions.description import (
    CertificateDescription,
    default_description,
    default_text,
    description_document,
)
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.rebuild import rebuild, stored_unit
from atcaprov.chip.memory_map import SLOT_SIZES
from tests.certs.test_wheel_judge import put_on_chip
from tests.support import atcacert
from tests.support.certificates import CHIP_SERIAL, DEVICE, HOUR, NOW, ROOT, SIGNER, SIGNER_ID
from tests.support.external_cas import openssl
from tests.support.random_units import Unit, issued_unit
from tests.support.stock_cryptoauthlib import Wheel

EXAMPLE: Final = (Path(__file__).parents[2] / "configs" / "certificates" / "device-with-unit.toml").read_text()
PLAIN: Final = default_text("device").replace("{chip_serial}", "{unit}")
SERIAL: Final = 'form = "text"\npattern = "SN-[0-9]{8}"\nslot = 8'
MAC: Final = 'form = "mac"\nseparator = ":"\nslot = 8\noffset = 32'
DEV_EUI: Final = 'form = "eui64"\ncase = "lower"\nzone = "otp"\noffset = 32'
ALL_NAMES: Final = (
    '[subject_alt_name]\nuri = "urn:unit:{unit}"\ndirectory_name = { serial_number = "{unit}" }\n'
    'hardware_module_type = "2.999.1"\nhardware_module_serial = "{unit}"\n'
)


def described(rule: str, names: str = "", text: str = PLAIN) -> CertificateDescription:
    return CertificateDescription.from_toml(text.replace("[slots]", f"{names}[unit]\n{rule}\n[slots]"))


def definitions(device: CertificateDescription) -> tuple[CertificateDefinition, CertificateDefinition]:
    signer = default_description("signer")
    signer_def = signer_definition(signer, root_name=default_description("root").subject_name(), at=NOW)
    return signer_def, device_definition(device, signer=signer, at=NOW)


def issued(device: CertificateDescription, name: str) -> Unit:
    return issued_unit(*definitions(device), (ROOT, SIGNER, DEVICE), SIGNER_ID, CHIP_SERIAL, HOUR, name)


def put_named_on_chip(wheel: Wheel, unit: Unit, name: str) -> None:
    """Put everything on the chip that firmware rebuilds the certificate from; around the name stands something else."""
    put_on_chip(wheel, unit)
    rule = unit.device_definition.unit
    assert rule is not None
    stored = rule.stored(name)
    memory = wheel.chip.memory
    if rule.slot is None:
        memory.otp[:] = b"\xa5" * len(memory.otp)
        memory.otp[rule.offset : rule.offset + rule.size] = stored
    else:
        memory.write_slot(rule.slot, 0, b"\xa5" * min(SLOT_SIZES[rule.slot], 72))
        memory.write_slot(rule.slot, rule.offset, stored)


@pytest.mark.parametrize(
    ("rule", "name", "stored"),
    [
        (SERIAL, "SN-01234567", b"SN-01234567"),
        (MAC, "00:04:A3:01:02:FF", bytes.fromhex("0004A30102FF")),
        ('form = "mac"\nslot = 9', "0004A30102FF", bytes.fromhex("0004A30102FF")),
        (DEV_EUI, "0004a30b001c0530", bytes.fromhex("0004A30B001C0530")),
        ('form = "text"\npattern = "[0-9A-Z]{38}"\nzone = "otp"', "SECCID" + "7" * 32, b"SECCID" + b"7" * 32),
        ('form = "text"\npattern = "[A-Z]"\nslot = 9\noffset = 32', "Q", b"Q"),
    ],
    ids=["serial number", "MAC address", "MAC without separator", "DevEUI in OTP", "over two blocks", "one letter"],
)
def test_library_rebuilds_the_certificate(rule: str, name: str, stored: bytes, wheel: Wheel) -> None:
    names = ALL_NAMES if "separator" not in rule else '[subject_alt_name]\nuri = "urn:unit:{unit}"\n'
    unit = issued(described(rule, names), name)
    put_named_on_chip(wheel, unit, name)
    c_definition = atcacert.c_definition(unit.device_definition)
    assert atcacert.read_certificate(wheel, c_definition, SIGNER.public) == unit.device.der
    assert atcacert.compress(c_definition, unit.device.der) == unit.device.compressed
    rule_read = unit.device_definition.unit
    assert rule_read is not None
    assert rule_read.stored(name) == stored


def test_library_rebuilds_another_certificate_when_the_name_on_the_chip_is_another(wheel: Wheel) -> None:
    unit = issued(described(SERIAL), "SN-01234567")
    put_named_on_chip(wheel, unit, "SN-01234568")
    read = atcacert.read_certificate(wheel, atcacert.c_definition(unit.device_definition), SIGNER.public)
    assert read != unit.device.der
    assert read.replace(b"SN-01234568", b"SN-01234567") == unit.device.der


@pytest.mark.slow
def test_library_rebuilds_names_of_every_length(wheel: Wheel) -> None:
    for length in range(1, 65):
        text = PLAIN.replace("Example ATECC608A Device {unit}", "{unit}")
        rule = f'form = "text"\npattern = "[!-~]{{{length}}}"\nslot = 8'
        name = "".join(random.Random(length).choices("ABC#*!~xyz0", k=length))
        unit = issued(described(rule, text=text), name)
        put_named_on_chip(wheel, unit, name)
        read = atcacert.read_certificate(wheel, atcacert.c_definition(unit.device_definition), SIGNER.public)
        assert read == unit.device.der, length
        common_name = x509.load_der_x509_certificate(read).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert common_name[0].value == name


@pytest.mark.slow
@pytest.mark.parametrize("around", range(118, 136))
def test_library_rebuilds_names_where_der_lengths_grow(around: int, wheel: Wheel) -> None:
    """From 127 to 128 bytes the length of a name, and of all around it, is one byte longer."""
    filling = "x" * (around - len("urn::SN-01234567"))
    unit = issued(described(SERIAL, f'[subject_alt_name]\nuri = "urn:{filling}:{{unit}}"\n'), "SN-01234567")
    put_named_on_chip(wheel, unit, "SN-01234567")
    read = atcacert.read_certificate(wheel, atcacert.c_definition(unit.device_definition), SIGNER.public)
    assert read == unit.device.der
    names = x509.load_der_x509_certificate(read).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert (len(uri), uri[-12:]) == (around, ":SN-01234567")


def test_openssl_reads_subject_and_names(tmp_path: Path) -> None:
    path = tmp_path / "device.der"
    path.write_bytes(issued(CertificateDescription.from_toml(EXAMPLE), "SN-00000017").device.der)
    shown = openssl("x509", "-inform", "DER", "-in", path, "-noout", "-subject", "-ext", "subjectAltName").stdout
    assert "Example Device SN-00000017" in shown
    assert "serialNumber" in shown
    assert "URI:urn:example:device:SN-00000017" in shown
    parsed = openssl("asn1parse", "-inform", "DER", "-in", path, "-i").stdout
    assert "PRINTABLESTRING   :SN-00000017" in parsed
    der = path.read_bytes()
    # HardwareModuleName (RFC 4108, 5): OBJECT IDENTIFIER 1.3.6.1.4.1.32473.1, OCTET STRING
    assert bytes.fromhex("06092B0601040181FD5901 040B") + b"SN-00000017" in der


def test_hardware_module_name_holds_an_address_as_bytes() -> None:
    der = issued(described('form = "mac"\nslot = 8', ALL_NAMES), "0004A30102FF").device.der
    assert bytes.fromhex("0603883701 0406 0004A30102FF") in der
    assert b"urn:unit:0004A30102FF" in der


def test_compressed_form_and_chip_serial_elements_are_those_without_a_name() -> None:
    """The name is beside the 72 bytes: their format, and what a definition without [unit] says, stay as they were."""
    plain = issued(default_description("device"), "")
    both = described(SERIAL, '[subject_alt_name]\nuri = "urn:{chip_serial}:{unit}"\n', default_text("device"))
    with_unit = issued(both, "SN-00000001")
    assert with_unit.device.compressed[64:] == plain.device.compressed[64:]
    document = plain.device_definition.to_document()
    assert (document["version"], "unit" in document) == (1, False)
    elements = with_unit.device_definition.cert_elements
    assert [each.id for each in elements] == [
        "chip_serial_0_0", "chip_serial_0_8", "chip_serial_1_0", "chip_serial_1_8", "unit_0",
    ]  # fmt: skip
    assert elements[-1].device_loc == DeviceLocation(DeviceZone.DATA, 8, False, 0, 11)
    assert elements[-1].transforms == (Transform.NONE, Transform.NONE)


@pytest.mark.parametrize("rule", [SERIAL, MAC, DEV_EUI])
def test_definition_and_description_are_read_again(rule: str) -> None:
    description = described(rule)
    definition = definitions(description)[1]
    assert definition.to_document()["version"] == 2
    assert CertificateDefinition.from_bytes(definition.to_bytes()) == definition
    assert CertificateDefinition.from_json(definition.to_json()) == definition
    assert CertificateDescription.from_document(description_document(description)) == description


def test_each_separated_byte_of_an_address_is_an_element() -> None:
    elements = definitions(described(MAC))[1].cert_elements
    assert [(each.device_loc.offset, each.device_loc.count, each.cert_loc.count) for each in elements] == [
        (32 + number, 1, 2) for number in range(6)
    ]
    assert {each.transforms[0] for each in elements} == {Transform.BIN2HEX_UC}


def changed(definition: CertificateDefinition, **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = definition.to_document()
    return document | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 1}, "unit is not known"),
        ({"version": 3}, "A newer program may have written it"),
        ({"unit": {"form": "text", "pattern": "SN-[0-9]{8}", "zone": "data", "slot": 9, "offset": 0}}, "every byte"),
        ({"unit": {"form": "text", "pattern": "SN-[0-9]{9}", "zone": "data", "slot": 8, "offset": 0}}, "every byte"),
        ({"unit": {"form": "text", "pattern": "SN-[0-9]{8}", "zone": "data", "slot": 10, "offset": 0}}, "slot 10"),
        ({"unit": {"form": "text", "pattern": "SN-[0-9]{8}", "zone": "data", "slot": 0, "offset": 0}}, "slot 0"),
        ({"unit": {"form": "text", "pattern": "(a+)+$", "zone": "data", "slot": 8, "offset": 0}}, "unit.pattern"),
        ({"unit": None}, "unit must be a map"),
        ({"cert_elements": []}, "every byte"),
    ],
)
def test_definitions_that_contradict_themselves_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CertificateError) as caught:
        CertificateDefinition.from_document(changed(definitions(described(SERIAL))[1], **changes))
    assert caught.value.code == Code.DEFINITION_INVALID
    assert message in str(caught.value)


def test_definition_without_its_rule_issues_nothing() -> None:
    document = changed(definitions(described(SERIAL))[1], version=1)
    del document["unit"]
    with pytest.raises(CertificateError, match="all an issuer knows"):
        CertificateDefinition.from_document(document).require_issuable()


@pytest.mark.parametrize(
    ("rule", "names", "message"),
    [
        (SERIAL.replace("8]", "9]"), "", ""),
        (SERIAL, '[subject_alt_name]\ndns_name = "{unit}.example.com"\n', ""),
        ('form = "text"\npattern = "[!-~]{8}"\nslot = 8', '[subject_alt_name]\nuri = "urn:{unit}"\n', "must be a URI"),
        ('form = "text"\npattern = "[A-Z-]{8}"\nslot = 8', '[subject_alt_name]\ndns_name = "{unit}.a"\n', "host name"),
        ('form = "text"\npattern = "[A-Z]{64}"\nslot = 8', '[subject_alt_name]\ndns_name = "{unit}"\n', "host name"),
        (MAC, ALL_NAMES, "hold the chip's serial number and {unit} in 19 parts; a definition has 16"),
        (SERIAL.replace("slot = 8", "slot = 10"), "", "unit.slot must be another slot"),
        (SERIAL.replace("slot = 8", "slot = 0"), "", "unit.slot must be another slot"),
        (SERIAL, '[subject_alt_name]\nhardware_module_serial = "{unit}"\n', "needs hardware_module_type"),
        (
            SERIAL,
            '[subject_alt_name]\nhardware_module_type = "2.999.1"\nhardware_module_serial = "x{unit}"\n',
            "must be {unit}",
        ),
    ],
)  # fmt: skip
def test_descriptions_are_taken_or_refused(rule: str, names: str, message: str) -> None:
    if not message:
        assert issued(described(rule, names), "SN-00000001")
        return
    with pytest.raises(UsageError) as caught:
        described(rule, names, PLAIN.replace("Example ATECC608A Device {unit}", "{unit}"))
    assert caught.value.code == Code.DEFINITION_INVALID
    assert message in caught.value.what


def test_name_that_is_not_printable_string_is_refused_in_a_serial_number() -> None:
    text = PLAIN.replace("common_name =", 'serial_number = "{unit}"\ncommon_name =')
    with pytest.raises(UsageError, match=r"subject\.serial_number may have letters"):
        described('form = "text"\npattern = "DE\\\\*[0-9]{4}"\nslot = 8', text=text)


def test_placeholder_and_table_need_each_other() -> None:
    with pytest.raises(UsageError, match=r"uses the placeholder \{unit\}, whose form a table \[unit\] must give"):
        CertificateDescription.from_toml(PLAIN)
    with pytest.raises(UsageError, match=r"unit must be left out, or \{unit\} must stand"):
        described(SERIAL, text=default_text("device"))
    for role in ("root", "signer"):
        with pytest.raises(UsageError, match="unit is not known"):
            CertificateDescription.from_toml(default_text(role) + f"\n[unit]\n{SERIAL}\n")


def test_slot_of_the_signer_is_refused() -> None:
    with pytest.raises(UsageError, match="the unit's name is in slot 11"):
        definitions(described(SERIAL.replace("slot = 8", "slot = 11")))


@pytest.mark.parametrize(
    ("rule", "name", "code"),
    [
        (SERIAL, "", Code.UNIT_MISSING),
        (SERIAL, "SN-0000001", Code.UNIT_INVALID),
        (SERIAL, "SN-0000001\n", Code.UNIT_INVALID),
        (MAC, "00:04:a3:01:02:ff", Code.UNIT_INVALID),
        (None, "SN-00000001", Code.UNIT_UNEXPECTED),
    ],
)
def test_name_against_the_rule_is_not_issued(rule: str | None, name: str, code: Code) -> None:
    description = default_description("device") if rule is None else described(rule)
    with pytest.raises(CertificateError) as caught:
        issued(description, name)
    assert caught.value.code == code


RULED: Final = definitions(described(SERIAL))[1]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(st.text(max_size=70), st.text("SN-0123456789", min_size=11, max_size=11), st.from_regex("SN-[0-9]{8}"))
)
def test_any_name_is_issued_as_it_is_or_refused(name: str) -> None:
    try:
        stored = stored_unit(RULED, name)
    except CertificateError as error:
        code = error.code
    else:
        code = ""
        assert set(stored.values()) == {name.encode()}
    assert code in ("", Code.UNIT_INVALID, Code.UNIT_MISSING)
    assert (code == "") == (len(name) == 11 and name[:3] == "SN-" and name[3:].isascii() and name[3:].isdigit())


def test_certificate_from_elsewhere_compresses_with_the_chips_name() -> None:
    unit = issued(described(SERIAL), "SN-00000042")
    definition = unit.device_definition
    parts: dict[str, Any] = {"ca_public_key": SIGNER.public, "chip_serial": CHIP_SERIAL}
    stored = stored_unit(definition, "SN-00000042")
    assert compress(definition, unit.device.der, stored=stored, **parts) == unit.device.compressed
    again = rebuild(definition, compressed=unit.device.compressed, public_key=DEVICE.public, stored=stored, **parts)
    assert again == unit.device.der
    with pytest.raises(CertificateError, match="subject CN"):
        compress(definition, unit.device.der, stored=stored_unit(definition, "SN-00000043"), **parts)
    assert definition.element(StdElement.CERT_SN).count == 16
