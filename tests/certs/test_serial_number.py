from __future__ import annotations

from typing import Any

import pytest

from atcaprov import CertificateError
from atcaprov.certs.serial_number import SerialSource, generate
from tests.support.certificates import vector

CASES = vector("serial-numbers")


@pytest.mark.parametrize(
    "row", CASES["rows"], ids=lambda row: f"{row['case'][:16]}-{row['source_code']}-{row['length']}"
)
def test_known_numbers(row: dict[str, Any]) -> None:
    tail = bytes.fromhex(row["comp_bytes_64_71"])
    dates = tail[:3] + (bytes([tail[7] & 0xF0]) if tail[6] & 15 else b"")
    serial = generate(
        SerialSource(int(row["source_code"], 16)),
        row["length"],
        public_key=bytes.fromhex(CASES["public_key_xy"]),
        chip_serial=bytes.fromhex(CASES["device_serial"]),
        signer_id=tail[3:5],
        dates=dates,
    )
    assert serial.hex() == row["serial"]


@pytest.mark.parametrize("chip_serial", [None, bytes(8), bytes(10)])
@pytest.mark.parametrize("source", [SerialSource.DEVICE_SN, SerialSource.DEVICE_SN_HASH])
def test_missing_chip_serial_is_refused(source: SerialSource, chip_serial: bytes | None) -> None:
    with pytest.raises(CertificateError, match="serial number"):
        generate(source, 16, public_key=bytes(64), chip_serial=chip_serial, signer_id=bytes(2), dates=bytes(3))


@pytest.mark.parametrize("source", [SerialSource.STORED, SerialSource.STORED_DYNAMIC])
def test_stored_serial_numbers_are_not_generated(source: SerialSource) -> None:
    with pytest.raises(CertificateError, match="stored"):
        generate(source, 16, public_key=bytes(64), chip_serial=None, signer_id=bytes(2), dates=bytes(3))
