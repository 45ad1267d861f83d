from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError, Code
from atcaprov.certs import dates
from atcaprov.certs.compress import compress
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.issue import issue
from atcaprov.certs.keys import key_id
from tests.support.certificates import (
    DEVICE,
    HOUR,
    ROOT,
    SIGNER,
    chain_definition,
    default_definitions,
    genuine_definition,
    vector,
)
from tests.support.random_units import random_unit

DEFINITION = default_definitions()[0]


def test_the_genuine_certificate() -> None:
    case = vector("signer-certificate")["signer"]
    ca_key = bytes.fromhex(case["ca_public_key"])
    found = compress(genuine_definition(), bytes.fromhex(case["der"]), ca_public_key=ca_key)
    assert found.hex() == case["compressed"]


@pytest.mark.parametrize("role", ["signer", "device"])
@pytest.mark.parametrize("chain", vector("certificate-roundtrip")["chains"], ids=lambda chain: chain["name"])
def test_known_chains(chain: dict[str, Any], role: str) -> None:
    case = chain[role]
    serial = case["device_serial"]
    found = compress(
        chain_definition(case),
        bytes.fromhex(case["der"]),
        ca_public_key=bytes.fromhex(case["ca_public_key"]),
        chip_serial=bytes.fromhex(serial) if serial else None,
    )
    assert found.hex() == case["compressed"]


@pytest.mark.slow
def test_random_units() -> None:
    source = random.Random(3)
    for _ in range(100):
        unit = random_unit(source)
        ca_key = unit.signer_key.public
        found = compress(unit.device_definition, unit.device.der, ca_public_key=ca_key, chip_serial=unit.chip_serial)
        assert found == unit.device.compressed


def made_elsewhere(begin: datetime, end: datetime, *, serial: int = 0x40 << 120, common_name: str = "") -> bytes:
    """A signer certificate of the same template by another program, with a serial number of its own."""
    description = default_description("signer")
    name = description.subject_name(signer_id=common_name or "0034")
    root_name = default_description("root").subject_name()
    builder = x509.CertificateBuilder(root_name, name, SIGNER.private.public_key(), serial, begin, end)
    builder = description.extensions.add(builder, key_id=key_id(SIGNER.public), issuer_key_id=key_id(ROOT.public))
    return builder.sign(ROOT.private, hashes.SHA256()).public_bytes(Encoding.DER)


def refused(certificate: bytes, definition: CertificateDefinition = DEFINITION) -> str:
    with pytest.raises(CertificateError) as caught:
        compress(definition, certificate, ca_public_key=ROOT.public)
    return caught.value.what


NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_loss_that_the_vendor_compressor_hides_is_an_error() -> None:
    assert "full hour" in refused(made_elsewhere(HOUR + timedelta(minutes=1), NEVER))
    assert "whole number of years" in refused(made_elsewhere(HOUR, HOUR.replace(year=2056) - timedelta(seconds=1)))
    assert "whole number of years" in refused(made_elsewhere(HOUR, HOUR.replace(year=2056, month=7)))
    assert "whole number of years" in refused(made_elsewhere(HOUR, HOUR.replace(year=2154)))
    assert "serial number: expected " in refused(made_elsewhere(HOUR, NEVER))
    assert "four hexadecimal digits" in refused(made_elsewhere(HOUR, NEVER, common_name="00x4"))
    assert "found 'Example ATECC608A Signer 00340' (UTF8String)" in refused(
        made_elsewhere(HOUR, NEVER, common_name="00340")
    )
    assert "found 2036-06-01 08:00:00 UTC (UTCTime)" in refused(made_elsewhere(HOUR, HOUR.replace(year=2036)))


def test_another_issuers_key() -> None:
    certificate = issue(
        DEFINITION,
        subject_public_key=SIGNER.public,
        ca_public_key=ROOT.public,
        signer_id=b"\x00\x34",
        issue_date=HOUR,
        sign=ROOT.sign,
    ).der
    assert compress(DEFINITION, certificate, ca_public_key=ROOT.public)
    with pytest.raises(CertificateError, match="authorityKeyIdentifier") as caught:
        compress(DEFINITION, certificate, ca_public_key=DEVICE.public)
    assert caught.value.code == Code.CERTIFICATE_MISMATCH
    other = replace(DEFINITION, template_id=9)
    assert compress(other, certificate, ca_public_key=ROOT.public)[69] == 0x90
    for length in range(len(certificate)):
        refused(certificate[:length])


@given(st.binary(max_size=600))
def test_garbage(certificate: bytes) -> None:
    refused(certificate)


@given(st.datetimes(datetime(1950, 1, 1), datetime(2049, 12, 31)))
def test_dates_round_trip(naive: datetime) -> None:
    date = naive.replace(microsecond=0, tzinfo=UTC)
    for date_format in (DateFormat.RFC5280_UTC, DateFormat.RFC5280_GEN):
        assert dates.parse_date(dates.format_date(date, date_format), date_format) == date


@given(st.binary(max_size=20), st.sampled_from(DateFormat))
def test_garbage_dates(text: bytes, date_format: DateFormat) -> None:
    with pytest.raises(CertificateError):
        dates.parse_date(text, date_format)


@pytest.mark.parametrize(
    "text", [b"260230000000Z", b"261301000000Z", b"260101240000Z", b"2601010000000", b"26010100000+Z"]
)
def test_dates_that_do_not_exist(text: bytes) -> None:
    with pytest.raises(CertificateError):
        dates.parse_date(text, DateFormat.RFC5280_UTC)
