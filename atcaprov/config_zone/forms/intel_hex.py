"""Read Intel HEX (Intel, Hexadecimal Object File Format Specification, revision A, 1988): data records from address 0.

Each record has a checksum, so a changed digit is found.
"""

from __future__ import annotations

import re
from typing import Final

from atcaprov.config_zone.forms.reading import Place, PlacedByte, Reading, form_error, reading_of, sizes

_RECORD: Final = re.compile(r":[0-9A-Fa-f]+")
_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_OVERHEAD: Final = 5
_DIGITS_BEFORE_DATA: Final = len(":LLAAAATT")


def read_intel_hex(text: str, *, accept_112: bool) -> Reading | None:
    """Return the zone of an Intel HEX file, None if the text is none; raises UsageError if it is damaged."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines or not all(line.startswith(":") for _, line in lines):
        return None
    found: list[PlacedByte] = []
    ended = False
    for number, line in lines:
        if ended:
            raise form_error(f"line {number}: a record follows the end of the Intel HEX file.")
        kind, address, data = _record(line, number)
        ended = kind == _END
        if kind in (_SEGMENT, _LINEAR) and any(data):
            raise form_error(f"line {number}: the Intel HEX file does not begin at address 0.")
        if kind == _DATA:
            found += _placed(data, address, len(found), number)
    if not ended:
        raise form_error("The Intel HEX file has no end record: it was cut.")
    if len(found) not in sizes(accept_112=accept_112):
        raise form_error(f"The Intel HEX file holds {len(found)} bytes; a configuration zone has 128.")
    return reading_of("an Intel HEX file", found)


def _record(line: str, number: int) -> tuple[int, int, bytes]:
    if not _RECORD.fullmatch(line) or len(line) % 2 == 0:
        raise form_error(f"line {number} is not a record of Intel HEX.")
    record = bytes.fromhex(line[1:])
    if len(record) < _OVERHEAD or len(record) != record[0] + _OVERHEAD:
        raise form_error(f"line {number}: the record of Intel HEX has another length than it says.")
    if sum(record) & 0xFF:
        raise form_error(f"line {number}: the checksum of the record is wrong.", "Look for a digit that was changed.")
    if record[3] not in (_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR):
        raise form_error(f"line {number}: unknown kind of record {record[3]:02X}.")
    return record[3], int.from_bytes(record[1:3], "big"), record[4:-1]


def _placed(data: bytes, address: int, expected: int, number: int) -> list[PlacedByte]:
    if address != expected:
        raise form_error(
            f"line {number}: the record is for address {address:04X}, but {expected:04X} comes next.",
            "Addresses must begin at 0 and have no gap.",
        )
    return [(value, Place(number, _DIGITS_BEFORE_DATA + 2 * index + 1)) for index, value in enumerate(data)]
