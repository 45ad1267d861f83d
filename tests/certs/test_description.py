from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.certs.definitions.definition import CertificateDefinition, DateFormat, SerialSource, StdElement
from atcaprov.certs.descriptions.description import CertificateDescription, default_description, default_text
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from tests.support.certificates import NOW

SIGNER_TEXT, DEVICE_TEXT, ROOT_TEXT = (default_text(role) for role in ("signer", "device", "root"))
ROOT_NAME = default_description("root").subject_name()


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        CertificateDescription.from_toml(text)
    assert caught.value.code == Code.DEFINITION_INVALID
    return caught.value.what


def device(text: str = DEVICE_TEXT, *, signer: str = SIGNER_TEXT, at: datetime = NOW) -> CertificateDefinition:
    description = CertificateDescription.from_toml(text)
    return device_definition(description, signer=CertificateDescription.from_toml(signer), at=at)


def signer(text: str = SIGNER_TEXT, *, at: datetime = NOW) -> CertificateDefinition:
    return signer_definition(CertificateDescription.from_toml(text), root_name=ROOT_NAME, at=at)


@pytest.mark.parametrize("role", ["root", "signer", "device"])
def test_the_copies_to_start_from_are_the_defaults(role: str) -> None:
    copy = Path(__file__).parents[2] / "configs" / "certificates" / f"{role}.toml"
    assert copy.read_text(encoding="utf-8") == {"root": ROOT_TEXT, "signer": SIGNER_TEXT, "device": DEVICE_TEXT}[role]


def test_default_slots() -> None:
    assert dict(signer().write_slots) == {11: "signer public key", 12: "signer compressed certificate"}
    assert dict(device().write_slots) == {10: "device compressed certificate"}
    assert device().private_key_slot == 0
    assert device().public_key_dev_loc.by_gen_key


def test_default_definitions() -> None:
    assert signer().sn_source is device().sn_source is SerialSource.PUB_KEY_HASH
    assert device().needs_chip_serial
    assert not signer().needs_chip_serial
    assert device().expire_date_format is DateFormat.RFC5280_GEN
    assert device().issue_date_format is DateFormat.RFC5280_UTC
    assert device().ca_cert_def == "signer"
    template = device().cert_template
    for element, value in [(StdElement.SIGNER_ID, b"0000"), (StdElement.EXPIRE_DATE, b"99991231235959Z")]:
        location = device().element(element)
        assert template[location.offset : location.end] == value


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (DEVICE_TEXT, 'role = "device"', 'role = "thing"', "role must be"),
        (DEVICE_TEXT, 'role = "device"', "", "role is missing"),
        (DEVICE_TEXT, 'role = "device"', "role = 3", "role must be"),
        (DEVICE_TEXT, 'name = "device"', 'name = "a-b"', "name must be"),
        (DEVICE_TEXT, "Example ATECC608A Device {chip_serial}", "ü" * 33, "has 66 bytes in UTF-8"),
        (DEVICE_TEXT, "Example ATECC608A Device {chip_serial}", "u" * 65, "has 65 characters"),
        (DEVICE_TEXT, "template_id = 2", "template_id = 16", "template_id must be"),
        (DEVICE_TEXT, "chain_id = 0", "chain_id = -1", "chain_id must be"),
        (DEVICE_TEXT, "PUB_KEY_HASH", "STORED", "serial_number must be"),
        (DEVICE_TEXT, "PUB_KEY_HASH", "SIGNER_ID", "serial_number must be"),
        (DEVICE_TEXT, "PUB_KEY_HASH", "PUB_KEY_HASH_RAW", "serial_number must be"),
        (SIGNER_TEXT, "PUB_KEY_HASH", "DEVICE_SN_HASH", "serial_number must be"),
        (DEVICE_TEXT, "chain_id = 0", "chain_id = 0\nserial_number_size = 21", "serial_number_size must be"),
        (DEVICE_TEXT, "chain_id = 0", "chain_id = 0\nserial_number_size = 7", "serial_number_size must be"),
        (
            DEVICE_TEXT,
            'serial_number = "PUB_KEY_HASH"',
            'serial_number = "DEVICE_SN"\nserial_number_size = 16',
            "must be left out; DEVICE_SN gives 10 bytes",
        ),
        (DEVICE_TEXT, "expire_years = 0", "expire_years = 32", "0 .no expiry. to 31; compressed_format = 1"),
        (DEVICE_TEXT, "expire_years = 0", "expire_years = -1", "expire_years must be"),
        (DEVICE_TEXT, "expire_years = 0", "expire_years = 10.5", "expire_years must be"),
        (DEVICE_TEXT, "compressed_format = 0", "compressed_format = 2", "compressed_format must be"),
        (DEVICE_TEXT, "{chip_serial}", "{serial}", "placeholder {serial}; allowed here: {chip_serial}"),
        (DEVICE_TEXT, "{chip_serial}", "{signer_id}", "placeholder {signer_id}"),
        (DEVICE_TEXT, "{chip_serial}", "{", "brace"),
        (
            DEVICE_TEXT,
            "Example ATECC608A Device ",
            "A long name that goes on and on, longer than fits ",
            "X.509 allows 64",
        ),
        (DEVICE_TEXT, "Example Organization", "O" * 65, "X.509 allows 64"),
        (DEVICE_TEXT, "Example Organization", "a\\tb", "organization must be a string"),
        (DEVICE_TEXT, "Example Organization", " blank", "organization must be a string"),
        (DEVICE_TEXT, "organization", "surname", "subject.surname is unknown"),
        (DEVICE_TEXT, 'organization = "Example Organization"', 'country = "Germany"', "X.509 allows 2"),
        (DEVICE_TEXT, 'organization = "Example Organization"', 'country = "Ä1"', "letters, digits"),
        (DEVICE_TEXT, "common_name", "locality", "common_name is missing"),
        (DEVICE_TEXT, "private_key = 0", "private_key = 16", "private_key must be"),
        (DEVICE_TEXT, "private_key = 0", "private_key = 10", "different slots"),
        (DEVICE_TEXT, "compressed_certificate = 10", "compressed_certificate = 7", "slot 7 has 36 bytes"),
        (DEVICE_TEXT, "compressed_certificate = 10", "compressed_certificate = 10\npublic_key = 11", "is not known"),
        (SIGNER_TEXT, "public_key = 11", "public_key = 12", "different slots"),
        (SIGNER_TEXT, "public_key = 11", "public_key = 3", "slot 3 has 36 bytes"),
        (SIGNER_TEXT, " {signer_id}", "", "must end in ' {signer_id}'"),
        (SIGNER_TEXT, "Signer {signer_id}", "{signer_id} Signer", "must end in ' {signer_id}'"),
        (SIGNER_TEXT, "Example Organization", "{signer_id}", "must end in ' {signer_id}'"),
        (SIGNER_TEXT, '"key_cert_sign", ', "", "must hold key_cert_sign"),
        (DEVICE_TEXT, '"key_agreement"', '"key_cert_sign"', "may hold"),
        (DEVICE_TEXT, '"key_agreement"', '"key_encipherment"', "may hold"),
        (DEVICE_TEXT, '"digital_signature", "key_agreement"', "", "must not be empty"),
        (DEVICE_TEXT, '"client_auth"', '"any"', "client_auth, server_auth and object ids"),
        (DEVICE_TEXT, '"client_auth"', '"client_auth", "client_auth"', "different strings"),
        (DEVICE_TEXT, "extended_key_usage", "path_length = 0\nextended_key_usage", "path_length is not known"),
        (ROOT_TEXT, "expire_years = 0", "expire_years = 10000", "expire_years must be"),
        (ROOT_TEXT, "path_length = 1", "path_length = 0", "path_length must be 1 or more"),
        (ROOT_TEXT, 'role = "root"', 'role = "root"\ntemplate_id = 1', "template_id is not known"),
        (ROOT_TEXT, "Root CA", "Root CA {signer_id}", "allowed here: none"),
    ],
)
def test_refused_descriptions_name_the_key(text: str, old: str, new: str, message: str) -> None:
    assert old in text
    found = refused(text.replace(old, new, 1))
    assert message.replace(".no expiry.", "(no expiry)") in found


@pytest.mark.parametrize("text", ["role", "= 1", 'role = "device', "a = [" * 2000, "x" * 70_000, ""])
def test_text_that_is_not_a_description_is_refused(text: str) -> None:
    refused(text)


@given(st.text(max_size=300))
def test_garbage(text: str) -> None:
    refused(text)


def test_truncated_at_each_length() -> None:
    for length in range(len(DEVICE_TEXT.rstrip())):
        refused(DEVICE_TEXT[:length])


@given(st.integers(0, len(DEVICE_TEXT) - 1), st.integers(0, 6))
def test_flipped_bits_are_refused_or_another_description(position: int, bit: int) -> None:
    text = DEVICE_TEXT[:position] + chr(ord(DEVICE_TEXT[position]) ^ 1 << bit) + DEVICE_TEXT[position + 1 :]
    try:
        found = CertificateDescription.from_toml(text)
    except UsageError:
        return
    assert found.role == "device"


def make_fails(text: str, *, signer_text: str = SIGNER_TEXT, at: datetime = NOW) -> str:
    with pytest.raises(UsageError) as caught:
        device(text, signer=signer_text, at=at)
    assert caught.value.code == Code.DEFINITION_INVALID
    return caught.value.what


def test_definitions_that_could_not_issue_now() -> None:
    assert "up to 2031" in make_fails(DEVICE_TEXT, at=datetime(2032, 1, 1, tzinfo=UTC))
    with pytest.raises(UsageError, match="for a device, not for a signer"):
        signer(DEVICE_TEXT)
    with pytest.raises(UsageError, match="that of its signer"):
        device(SIGNER_TEXT)


def test_signer_and_device_must_differ_in_ids_and_slots() -> None:
    assert "same template id" in make_fails(DEVICE_TEXT.replace("template_id = 2", "template_id = 1"))
    assert "slot 12 is used twice" in make_fails(DEVICE_TEXT.replace("certificate = 10", "certificate = 12"))
    assert "slot 11 is used twice" in make_fails(DEVICE_TEXT.replace("private_key = 0", "private_key = 11"))


@pytest.mark.parametrize(
    ("years", "issue", "expire", "last"),
    [
        (20, DateFormat.RFC5280_UTC, DateFormat.RFC5280_UTC, 2029),
        (23, DateFormat.RFC5280_UTC, DateFormat.RFC5280_UTC, 2026),
        (24, DateFormat.RFC5280_UTC, DateFormat.RFC5280_GEN, 2031),
        (0, DateFormat.RFC5280_UTC, DateFormat.RFC5280_GEN, 2031),
    ],
)
def test_date_formats_are_those_of_rfc_5280(years: int, issue: DateFormat, expire: DateFormat, last: int) -> None:
    found = device(DEVICE_TEXT.replace("expire_years = 0", f"expire_years = {years}"))
    assert (found.issue_date_format, found.expire_date_format, found.last_issue_year) == (issue, expire, last)


def test_long_validity_and_late_years_need_compressed_format_1() -> None:
    text = DEVICE_TEXT.replace("compressed_format = 0", "compressed_format = 1")
    late = device(
        text.replace("expire_years = 0", "expire_years = 99"),
        signer=SIGNER_TEXT.replace("compressed_format = 0", "compressed_format = 1"),
        at=datetime(2060, 1, 1, tzinfo=UTC),
    )
    assert late.issue_date_format is DateFormat.RFC5280_GEN
    assert late.last_issue_year == 2127


def test_several_placeholders() -> None:
    text = DEVICE_TEXT.replace("[validity]", 'serial_number = "{chip_serial}"\n[validity]')
    found = device(text)
    assert len(found.cert_elements) == 4
    assert len({element.id for element in found.cert_elements}) == 4


def test_names_in_other_scripts() -> None:
    found = device(
        DEVICE_TEXT.replace("Example Organization", "Müller & Søn 電子"),
        signer=SIGNER_TEXT.replace("Example ATECC608A Signer", "Prüfer"),
    )
    location = found.element(StdElement.SIGNER_ID)
    assert found.cert_template[location.offset : location.end] == b"0000"
