"""Configuration zones in other people's forms are named, and the command that the advice gives converts them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from atcaprov import Code, UsageError, read_zone_file
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.hex_file import format_hex
from tests.support.system_programs import require_program

ZONE = DEFAULT_608A
ROWS = [ZONE[at : at + 16] for at in range(0, 128, 16)]
HEX_ROWS = [row.hex(" ").upper() for row in ROWS]


def c_array() -> str:
    rows = ",\n".join("    " + ", ".join(f"0x{byte:02X}" for byte in row) for row in ROWS)
    return f"/* the product */\nstatic const uint8_t config[128] = {{\n{rows}\n}};\n"


def intel_hex() -> str:
    lines = []
    for number, row in enumerate(ROWS):
        record = bytes((len(row), 0, 16 * number, 0)) + row
        lines.append(f":{record.hex().upper()}{-sum(record) & 0xFF:02X}")
    return "\n".join([*lines, ":00000001FF", ""])


def dumped(*command: str) -> bytes:
    return subprocess.run(
        [require_program(command[0]), *command[1:]], input=ZONE, capture_output=True, check=True
    ).stdout


FORMS = {
    "a binary image": lambda: ZONE,
    "text in UTF-16": lambda: format_hex(ZONE).encode("utf-16"),
    "a C array": lambda: c_array().encode(),
    "a listing with indexes": lambda: "\n".join(f"{16 * n}: {row}" for n, row in enumerate(HEX_ROWS)).encode(),
    "an Intel HEX file": lambda: intel_hex().encode(),
    "a dump of xxd": lambda: dumped("xxd"),
    "a dump of hexdump -C": lambda: dumped("hexdump", "-C"),
    "a chip file of the software chip": lambda: json.dumps({"format": "atcaprov chip", "config": ZONE.hex()}).encode(),
}


def refusal(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_zone_file(path)
    assert caught.value.code == Code.CONFIG_ZONE_INVALID
    return caught.value


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_named_and_its_command_converts_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "my product's.txt"
    path.write_bytes(FORMS[name]())
    error = refusal(path)
    assert f"{path} is {name}, not hex text" in error.what
    command = error.advice.removeprefix("Convert it: ")
    for program in re.findall(r"(?:^|\| )([a-z]+) ", command):
        require_program(program)
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert read_zone_file(tmp_path / "my product's-zone.hex").zone.data == ZONE


@pytest.mark.parametrize(("listing", "number"), [("0x{:02X}: 0x{:02X}", 1), ("{:3d} : {:02x}", 1)])
def test_listings_of_single_bytes(tmp_path: Path, listing: str, number: int) -> None:
    path = tmp_path / "product.lst"
    path.write_text("\n".join(listing.format(at, byte) for at, byte in enumerate(ZONE)))
    error = refusal(path)
    assert "a listing with indexes" in error.what
    subprocess.run(["sh", "-c", error.advice.removeprefix("Convert it: ")], check=True)
    assert read_zone_file(tmp_path / "product-zone.hex").zone.data == ZONE


@pytest.mark.parametrize(
    ("content", "name"), [(b'[1, 35, "C0"]', "JSON"), (b'<?xml version="1.0"?><ATECC608/>', "XML")]
)
def test_a_form_without_a_command_is_still_named(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / "product"
    path.write_bytes(content)
    error = refusal(path)
    assert f"is {name}, not hex text" in error.what
    assert "128 bytes as hex digits" in error.advice


def test_unknown_format_is_reported_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "product.hex"
    path.write_text("00 00\n00 GG\n")
    assert "line 2, column 4" in refusal(path).what
