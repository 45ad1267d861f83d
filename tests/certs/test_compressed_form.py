from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.dates import format_version_for
from atcaprov.certs.serial_number import SerialSource
from tests.support.certificates import vector

GENUINE = bytes.fromhex(vector("signer-certificate")["signer"]["compressed"])


def test_genuine_fields() -> None:
    found = CompressedCertificate.parse(GENUINE)
    assert found == CompressedCertificate(
        signature=GENUINE[:64],
        issue_date=datetime(2015, 12, 17, 23, tzinfo=UTC),
        expire_years=0,
        signer_id=bytes.fromhex("0034"),
        template_id=1,
        chain_id=0,
        sn_source=SerialSource.PUB_KEY_HASH,
        format_version=0,
    )
    assert found.pack() == GENUINE


@pytest.mark.parametrize("length", [*range(72), 73, 104])
def test_other_lengths(length: int) -> None:
    with pytest.raises(CertificateError, match="72 bytes"):
        CompressedCertificate.parse((GENUINE * 2)[:length])


@given(st.binary(min_size=72, max_size=72))
def test_garbage(data: bytes) -> None:
    try:
        found = CompressedCertificate.parse(data)
    except CertificateError:
        return
    assert found.pack() == data


def test_flipped_bit_gives_another_certificate_or_an_error() -> None:
    for bit in range(72 * 8):
        flipped = bytearray(GENUINE)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        try:
            found = CompressedCertificate.parse(bytes(flipped))
        except CertificateError:
            continue
        assert found.pack() == bytes(flipped) != GENUINE


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (70, 0xA2, "format version 2"),
        (70, 0xAF, "format version 15"),
        (70, 0x10, "source 1"),
        (71, 0x10, "Byte 71"),
        (64, 0, "are not a date"),
    ],
)
def test_refused(position: int, value: int, message: str) -> None:
    changed = bytearray(GENUINE)
    changed[position] = value
    if position == 64:
        changed[64:67] = bytes(3)
    with pytest.raises(CertificateError, match=message):
        CompressedCertificate.parse(bytes(changed))


@pytest.mark.parametrize(
    "change",
    [{"signature": bytes(63)}, {"signer_id": b"\x01"}, {"template_id": 16}, {"chain_id": -1}, {"expire_years": 32}],
    ids=str,
)
def test_fields_that_do_not_fit(change: dict[str, Any]) -> None:
    with pytest.raises(CertificateError):
        replace(CompressedCertificate.parse(GENUINE), **change).pack()


@given(
    st.binary(min_size=64, max_size=64),
    st.datetimes(datetime(2000, 1, 1), datetime(2127, 12, 31, 23)),
    st.integers(0, 127),
    st.binary(min_size=2, max_size=2),
    st.integers(0, 15),
    st.integers(0, 15),
    st.sampled_from(list(SerialSource)),
)
def test_round_trip(
    signature: bytes,
    date: datetime,
    years: int,
    signer_id: bytes,
    template_id: int,
    chain_id: int,
    source: SerialSource,
) -> None:
    issue = date.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    version = format_version_for(issue.year, years)
    fields = CompressedCertificate(signature, issue, years, signer_id, template_id, chain_id, source, version)
    assert CompressedCertificate.parse(fields.pack()) == fields
