from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.certs.field_comparison import explain_differences
from atcaprov.certs.issue import issue
from tests.support.certificates import CHIP_SERIAL, DEVICE, HOUR, ROOT, SIGNER, SIGNER_ID, Key, default_definitions

DEFINITION = default_definitions()[1]


def certificate(**changes: Any) -> bytes:
    definition = changes.pop("definition", DEFINITION)
    signer = changes.pop("signer", SIGNER)
    arguments: dict[str, Any] = {
        "subject_public_key": DEVICE.public,
        "ca_public_key": signer.public,
        "signer_id": SIGNER_ID,
        "issue_date": HOUR,
        "chip_serial": CHIP_SERIAL,
        "sign": signer.sign,
    }
    return issue(definition, **{**arguments, **changes}).der


EXPECTED = certificate()


def differences(found: bytes) -> dict[str, str]:
    return {difference.field: difference.cause for difference in explain_differences(DEFINITION, EXPECTED, found)}


def test_equal_certificates() -> None:
    assert explain_differences(DEFINITION, EXPECTED, EXPECTED) == []


def test_another_units_key() -> None:
    found = differences(certificate(subject_public_key=Key.of(77).public))
    assert list(found) == [
        "serial number",
        "public key",
        "extension subjectKeyIdentifier",
        "signature",
    ]
    assert "public key" in found["serial number"]
    assert "another unit" in found["public key"]
    assert "hash of the public key" in found["extension subjectKeyIdentifier"]
    assert "other differences" in found["signature"]


def test_another_hour() -> None:
    found = differences(certificate(issue_date=HOUR + timedelta(hours=5)))
    assert list(found) == ["serial number", "notBefore", "signature"]
    assert "notBefore" in found["serial number"]


def test_another_signer() -> None:
    found = differences(certificate(signer=ROOT, signer_id=bytes.fromhex("abcd")))
    assert list(found) == ["issuer CN", "extension authorityKeyIdentifier", "signature"]
    assert "Another signer" in found["issuer CN"]
    assert "another signer or root" in found["extension authorityKeyIdentifier"]


def test_another_chip() -> None:
    found = differences(certificate(chip_serial=bytes.fromhex("0123ffffffffffffee")))
    assert list(found) == ["subject CN", "signature"]


def test_serial_number_alone() -> None:
    changed = bytearray(EXPECTED)
    changed[DEFINITION.layout.serial_number.start + 3] ^= 1
    found = differences(bytes(changed))
    assert list(found) == ["serial number"]
    assert "other dates" in found["serial number"]
    assert "SN source" in found["serial number"]


def test_second_signature() -> None:
    found = differences(certificate())
    assert list(found) == ["signature"]
    assert "second time" in found["signature"]


def test_another_template() -> None:
    changed = bytearray(EXPECTED)
    position = EXPECTED.index(bytes.fromhex("0603551d0f")) + 9
    changed[position + 2] ^= 0x20
    assert list(differences(bytes(changed))) == ["extension keyUsage"]


@pytest.mark.parametrize(
    "found",
    [b"", b"\x30", EXPECTED[:-1], bytes(500)],
    ids=["nothing", "one byte", "cut", "zeros"],
)
def test_certificate_of_another_structure(found: bytes) -> None:
    assert list(differences(found)) == ["certificate"]


def test_a_byte_too_many_is_named() -> None:
    assert list(differences(EXPECTED + b"\x00")) == ["bytes behind the certificate"]


def test_positions_are_those_of_the_certificate() -> None:
    found = explain_differences(DEFINITION, EXPECTED, certificate(subject_public_key=Key.of(77).public))
    serial, key = found[0], found[1]
    assert EXPECTED[serial.start : serial.end] == bytes.fromhex("0210" + serial.expected.removesuffix(" (16 bytes)"))
    assert EXPECTED[key.start : key.end].endswith(DEVICE.public)
    assert str(serial).startswith(f"serial number: expected {serial.expected}, found {serial.found} (it is made from")


def test_expiry_of_another_definition() -> None:
    # 10000-... does not exist, so 9999-12-31 23:59:59 and another GeneralizedTime are compared.
    ten = replace(DEFINITION, expire_years=30)
    found = explain_differences(ten, certificate(definition=ten), EXPECTED)
    assert [difference.field for difference in found] == ["serial number", "notAfter", "signature"]
    assert "number of years" in found[1].cause


@given(st.integers(0, len(EXPECTED) - 1), st.integers(0, 7))
def test_flipped_bit_is_reported(position: int, bit: int) -> None:
    changed = bytearray(EXPECTED)
    changed[position] ^= 1 << bit
    assert differences(bytes(changed))


@given(st.binary(max_size=600))
def test_garbage(found: bytes) -> None:
    assert list(differences(found)) == ["certificate"]
