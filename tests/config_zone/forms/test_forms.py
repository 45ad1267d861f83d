"""Configuration zones in the forms in which people have them: read as what they are, or refused with the reason."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import Code, UsageError, read_zone_file
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.hex_file import format_hex
from tests.support.config_zones import published
from tests.support.system_programs import require_program

ZONE = b"\x01\x23" + bytes(range(3, 17)) + DEFAULT_608A[16:20] + b"ATECC~ text|<a>" + DEFAULT_608A[35:]
ROWS = [ZONE[at : at + 16] for at in range(0, 128, 16)]
SPACED = [row.hex(" ").upper() for row in ROWS]
WORDS = [f"0x{byte:02X}" for byte in ZONE]


def made(*command: str, zone: bytes = ZONE) -> str:
    program = [require_program(command[0]), *command[1:]]
    return subprocess.run(program, input=zone, capture_output=True, check=True).stdout.decode()


def rows_of(words: list[str], count: int = 16) -> str:
    return ",\n".join("    " + ", ".join(words[at : at + count]) for at in range(0, len(words), count))


def c_array(name: str = "cfg", size: str = "128", words: list[str] = WORDS) -> str:
    return f"/* the product */\nstatic const uint8_t {name}[{size}] = {{\n{rows_of(words)}\n}};\n"


def commented_array() -> str:
    rows = "\n".join(f"    {', '.join(f'0x{b:02x}' for b in row)},  // {16 * n}: 00 01" for n, row in enumerate(ROWS))
    return f"#include <stdint.h>\nconst uint8_t cfg[] PROGMEM = {{\n{rows}\n}};\n"


def intel_hex(zone: bytes = ZONE) -> str:
    lines = []
    for at in range(0, len(zone), 16):
        record = bytes((16, 0, at, 0)) + zone[at : at + 16]
        lines.append(f":{record.hex().upper()}{-sum(record) & 0xFF:02X}")
    return "\n".join([*lines, ":00000001FF", ""])


def i2cdump() -> str:
    def shown(byte: int) -> str:
        return "." if byte in (0, 0xFF) else chr(byte) if 0x20 <= byte < 0x7F else "?"

    head = "     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f    0123456789abcdef\n"
    return head + "".join(f"{16 * n:02x}: {row.hex(' ')}    {''.join(map(shown, row))}\n" for n, row in enumerate(ROWS))


def shown(row: bytes, other: str = ".") -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else other if byte > 0x7F else "." for byte in row)


def certutil() -> str:
    """Return what `certutil -encodehex` of Windows writes."""
    halves = [(row[:8].hex(" "), row[8:].hex(" ")) for row in ROWS]
    rows = enumerate(zip(halves, ROWS, strict=True))
    return "".join(f"{16 * n:04x}\t{left}  {right}   {shown(row)}\n" for n, ((left, right), row) in rows)


def format_hex_of_powershell(gap: str, digits: int) -> str:
    """Return what Format-Hex of PowerShell 5 (wide gaps, 8 digits) and 7 (single blanks, 16 digits) writes."""
    head = "\n   Label: C:\\product.bin\n\n          Offset Bytes                                          Ascii\n"
    numbers = " " * 17 + " ".join(f"{n:02X}" for n in range(16)) + "\n          ------ -----  -----\n"
    other = "\u00e9" if digits == 8 else "\ufffd"
    rows = "".join(f"{16 * n:0{digits}X}{gap}{SPACED[n]}{gap[:2]}{shown(row, other)}\n" for n, row in enumerate(ROWS))
    return head + numbers + rows


def atecc_util() -> str:
    entries = "".join(("\n" if n % 4 == 0 else "") + f"{n:03d}: {byte:02X}\t\t" for n, byte in enumerate(ZONE))
    return (
        f"============= Config zone dump: ============= \n{entries}\n===== Slot configurations============\nSlot: 0\n"
    )


def chip_info() -> str:
    before = "Library symbols:\n  ATCA_CA_SUPPORT: 1\nSizes:\n  Config: 128 (locked: yes)\n\nConfig data:\n"
    after = "\n\nSN: 01 23 45 67 89 AB CD EF EE\n\nSlot  8: " + "00 " * 32 + "\nSlot  9: <secret>\n"
    return before + "\n".join(SPACED) + after


FORMS: dict[str, tuple[Callable[[], str], str]] = {
    "hex text": (lambda: format_hex(ZONE), "hex text"),
    "hex text in four digits": (lambda: "\n".join(row.hex(" ", 2) for row in ROWS), "hex text"),
    "0x1 without zeros": (lambda: " ".join(f"0x{byte:x}" for byte in ZONE), "hex text"),
    "C array": (c_array, "an array named cfg"),
    "C array without size": (lambda: c_array(size=""), "an array named cfg"),
    "C array of decimal numbers": (lambda: c_array(words=[str(b) for b in ZONE]), "an array named cfg"),
    "C array without zeros": (lambda: c_array(words=[f"0x{b:x}" for b in ZONE]), "an array named cfg"),
    "C array with comments": (commented_array, "an array named cfg"),
    "C array among others": (
        lambda: c_array("root", "64", WORDS[:64]) + c_array("cfg") + c_array("x", "17", WORDS[:17]),
        "an array named cfg",
    ),
    "C array twice": (lambda: c_array("one") + c_array("two"), "an array named one"),
    "C numbers in braces": (lambda: "{" + ", ".join(WORDS) + "}", "an array"),
    "C designated": (
        lambda: "uint8_t c[] = {" + ", ".join(f"[{n}] = {word}" for n, word in enumerate(WORDS)) + "};",
        "a listing with indexes",
    ),
    "Rust": (lambda: f"pub const CFG: [u8; 128] = [\n{rows_of(WORDS)},\n];\n", "an array named CFG"),
    "Go": (lambda: f"var cfg = []byte{{\n{rows_of(WORDS)},\n}}\n", "an array named cfg"),
    "Elixir": (lambda: f"config = <<{', '.join(map(str, ZONE))}>>\n", "an array named config"),
    "Elixir as IEx shows it": (lambda: f"<<{', '.join(map(str, ZONE))}>>\n", "an array"),
    "Python list": (lambda: f"config = bytearray([{', '.join(map(str, ZONE))}])  # ours\n", "an array named config"),
    "Python list of texts": (lambda: str([hex(byte) for byte in ZONE]), "an array"),
    "Python fromhex": (
        lambda: "_cfg = bytearray.fromhex(\n" + "\n".join(f"    '{row} '" for row in SPACED) + ")\n",
        "an array named _cfg",
    ),
    "Python bytes": (lambda: f"bytearray({ZONE!r})\n", "a Python bytes literal"),
    "xxd -i": (lambda: made("xxd", "-i", "-n", "cfg"), "an array named cfg"),
    "xxd": (lambda: made("xxd"), "a dump with addresses"),
    "xxd -g 1": (lambda: made("xxd", "-g", "1"), "a dump with addresses"),
    "xxd -u -g 4 -c 20": (lambda: made("xxd", "-u", "-g", "4", "-c", "20"), "a dump with addresses"),
    "xxd -e": (lambda: made("xxd", "-e"), "a dump with addresses"),
    "xxd -p": (lambda: made("xxd", "-p"), "hex text"),
    "hexdump -C": (lambda: made("hexdump", "-C"), "a dump with addresses"),
    "hexdump -vC": (lambda: made("hexdump", "-v", "-C"), "a dump with addresses"),
    "od -t x1": (lambda: made("od", "-t", "x1"), "a dump with addresses"),
    "od -A x -t x1z": (lambda: made("od", "-A", "x", "-t", "x1z", "-v"), "a dump with addresses"),
    "od -A d -t x1": (lambda: made("od", "-A", "d", "-t", "x1"), "a dump with addresses"),
    "od -A n -t x1": (lambda: made("od", "-A", "n", "-v", "-t", "x1"), "hex text"),
    "i2cdump": (i2cdump, "a dump with addresses"),
    "certutil -encodehex": (certutil, "a dump with addresses"),
    "Format-Hex of PowerShell 5": (lambda: format_hex_of_powershell("   ", 8), "a dump with addresses"),
    "Format-Hex of PowerShell 7": (lambda: format_hex_of_powershell(" ", 16), "a dump with addresses"),
    "[0] = 0x01": (lambda: "\n".join(f"[{n}] = {word};" for n, word in enumerate(WORDS)), "a listing with indexes"),
    "cfg[0x10] = 0xC0": (
        lambda: "\n".join(f"cfg[0x{n:02x}] = {word};  // 7" for n, word in enumerate(WORDS)),
        "a listing with indexes",
    ),
    "00: 01 23": (lambda: "\n".join(f"{16 * n:02X}: {row}" for n, row in enumerate(SPACED)), "a listing with indexes"),
    "0-15: 01 23": (
        lambda: "\n".join(f"{16 * n}-{16 * n + 15}: {row}" for n, row in enumerate(SPACED)),
        "a listing with indexes",
    ),
    "words of 4 bytes": (
        lambda: "\n".join(f"Word {n}: {ZONE[4 * n : 4 * n + 4].hex(' ')}" for n in range(32)),
        "a listing with indexes",
    ),
    "rows in another order": (
        lambda: "\n".join(reversed([f"{16 * n:02X}: {row}" for n, row in enumerate(SPACED)])),
        "a listing with indexes",
    ),
    "data-sheet table": (
        lambda: (
            "| Byte | Value | Name |\n|---|---|---|\n"
            + "\n".join(f"| {n} | {byte:02X} | SN[{n}] |" for n, byte in enumerate(ZONE))
        ),
        "a listing with indexes",
    ),
    "atecc-util": (atecc_util, "a listing with indexes"),
    "ATECC608-Tools": (chip_info, "hex rows in a report"),
    "Intel HEX": (intel_hex, "an Intel HEX file"),
    "JSON list": (lambda: json.dumps(list(ZONE)), "JSON"),
    "chip file": (
        lambda: json.dumps({"format": "atcaprov chip", "config": ZONE.hex(), "otp": "00" * 64}),
        "JSON, from its member config",
    ),
    "JSON report": (lambda: json.dumps({"zones": {"raw": " ".join(WORDS)}}), "JSON, from its member raw"),
}


def read(folder: Path, content: bytes, *, accept_112: bool = False) -> tuple[bytes, str]:
    path = folder / "product.txt"
    path.write_bytes(content)
    found = read_zone_file(path, accept_112=accept_112)
    return found.zone.data, found.form


def refusal(folder: Path, content: str | bytes, *, accept_112: bool = False) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(folder, content.encode() if isinstance(content, str) else content, accept_112=accept_112)
    assert caught.value.code == Code.CONFIG_ZONE_INVALID
    assert caught.value.what.startswith(str(folder / "product.txt"))
    return caught.value


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_form_is_read_and_named(tmp_path: Path, name: str, encoding: str) -> None:
    write, form = FORMS[name]
    expected = form if encoding == "utf-8" else f"{form} in UTF-16"
    assert read(tmp_path, write().encode(encoding)) == (ZONE, expected)
    assert read(tmp_path, write().replace("\n", "\r\n").encode(encoding))[0] == ZONE


def test_raw_bytes_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, ZONE) == (ZONE, "raw bytes")
    assert read(tmp_path, ZONE[16:], accept_112=True) == (bytes(16) + ZONE[16:], "raw bytes")
    assert "--accept-112" in refusal(tmp_path, ZONE[16:]).advice


@pytest.mark.parametrize(
    "write",
    [
        lambda zone: c_array(size="112", words=WORDS[16:]),
        lambda zone: made("xxd", zone=zone),
        lambda zone: made("hexdump", "-C", zone=zone),
        lambda zone: made("xxd", "-o", "16", zone=zone),
        intel_hex,
        lambda zone: "\n".join(f"{16 + n}: {byte:02X}" for n, byte in enumerate(zone)),
        lambda zone: json.dumps(list(zone)),
    ],
    ids=["C array", "xxd", "hexdump", "xxd from 16", "Intel HEX", "listing from 16", "JSON"],
)
def test_112_bytes_are_read_only_if_that_is_said(tmp_path: Path, write: Callable[[bytes], str]) -> None:
    text = write(ZONE[16:])
    assert read(tmp_path, text.encode(), accept_112=True)[0] == bytes(16) + ZONE[16:]
    refusal(tmp_path, text)


def test_repeated_rows_of_a_dump_are_read(tmp_path: Path) -> None:
    zone = ZONE[:16] + bytes(48) + ZONE[64:]
    for command in (("hexdump", "-C"), ("od", "-t", "x1"), ("xxd",)):
        assert read(tmp_path, made(*command, zone=zone).encode())[0] == zone
    assert "*" in made("hexdump", "-C", zone=zone)


def without_row(text: str, number: int = 3) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[:number], *lines[number + 1 :]])


def doubled_row(text: str, number: int = 3) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[: number + 1], *lines[number:]])


ROWED = [
    *("hex text", "C array", "C array without size", "Rust", "Go", "Python fromhex", "xxd -i", "xxd", "xxd -g 1"),
    *(
        "hexdump -C",
        "od -t x1",
        "i2cdump",
        "certutil -encodehex",
        "Intel HEX",
        "atecc-util",
        "ATECC608-Tools",
        "00: 01 23",
        "[0] = 0x01",
    ),
    *("data-sheet table", "words of 4 bytes", "0-15: 01 23"),
]


@pytest.mark.parametrize("name", ROWED)
def test_a_row_that_is_missing_or_doubled_never_moves_the_others(tmp_path: Path, name: str) -> None:
    text = FORMS[name][0]()
    number = 4 if name != "ATECC608-Tools" else text.splitlines().index(SPACED[3])
    for damaged in (without_row(text, number), doubled_row(text, number)):
        refusal(tmp_path, damaged)
        refusal(tmp_path, damaged, accept_112=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (c_array(size="128", words=WORDS[:127]), "declared with 128 bytes and gives 127"),
        (c_array(size="", words=WORDS[:127]), "an array named cfg has 127 bytes"),
        (c_array("one") + c_array("two", words=WORDS[::-1]), "2 arrays of the size of a configuration zone: one, two"),
        (c_array(words=[*WORDS[:20], "I2C_ADDRESS", *WORDS[21:]]), "'I2C_ADDRESS' in the array is not a byte"),
        (c_array(words=[*WORDS[:20], "(uint8_t)0xC0", *WORDS[21:]]), "line 4, column 29: '(uint8_t)0xC0'"),
        (c_array(words=[*WORDS[:20], "010", *WORDS[21:]]), "010 is octal in C"),
        (c_array(words=[*WORDS[:20], "256", *WORDS[21:]]), "256 is more than a byte holds"),
        (c_array(words=[*WORDS[:20], "0x1", *WORDS[21:]]), "0x1 has one digit, but other bytes have a leading zero"),
        (c_array().replace("0x03,", "0x03,\n#ifdef B\n"), "in the array is not a byte"),
        (made("xxd", "-i", "-n", "cfg").replace("len = 128", "len = 127"), "declared with 127 bytes and gives 128"),
        ('["' + '", "'.join(str(byte) for byte in ZONE) + '"] x', "may be hexadecimal or decimal"),
        (format_hex(ZONE).replace("C0 00", "0xC 00"), "0xC has one digit"),
        (made("xxd").replace("ATECC~", "ATECX~").replace("ATEC", "ATEX"), "do not fit its bytes"),
        (made("xxd", "-e", zone=bytes(range(0x80, 0x100))), "nothing in it tells their order"),
        (made("hexdump"), "nothing in it tells their order"),
        (made("od"), "a dump of od in octal words, which is not read"),
        (made("xxd").replace("00000030", "00000020"), "the address 00000020 does not follow"),
        (made("xxd", "-o", "1"), "the address 00000001 does not follow"),
        (made("xxd", "-o", "16"), "the address 00000010 does not follow"),
        ("\n".join(f"[{n}] = {word}" for n, word in enumerate(WORDS) if n != 7), "byte 7 is missing"),
        ("\n".join(f"[{n - (n == 8)}] = {word}" for n, word in enumerate(WORDS)), "gives byte 7 twice"),
        (intel_hex().replace(":10003000", ":10004000"), "the checksum of the record is wrong"),
        (intel_hex().replace(":00000001FF\n", ""), "has no end record"),
        (":020000040800F2\n" + intel_hex(), "does not begin at address 0"),
        (json.dumps({"a": list(ZONE), "b": list(ZONE[::-1])}), "several members of 128 bytes, which differ: a, b"),
        ('[1, 35, "C0"]', "no member with 128 bytes"),
        ('<?xml version="1.0"?><ATECC608/>', "It is XML, which is not read"),
        ("PK\x03\x04", "It is a ZIP archive"),
        (chip_info().replace(SPACED[3], "oops"), "The longest run of hex rows has"),
        (f"b = {ZONE[:127]!r}", "with 127 bytes"),
        ("00 00\n00 GG\n", "line 2, column 4"),
        ("\n".join(f"{n}: {byte:02X}" for n, byte in enumerate(bytes(100))), "byte 100 is missing"),
    ],
)  # fmt: skip
def test_what_is_damaged_or_may_mean_two_things_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text).what


def test_each_byte_knows_its_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "cfg.h"
    path.write_text(c_array())
    found = read_zone_file(path)
    assert found.place(16) == f"{path}:4:5"
    assert found.place(17) == f"{path}:4:11"
    path.write_text(made("hexdump", "-C"))
    assert read_zone_file(path).place(16) == f"{path}:2:11"
    path.write_text(intel_hex())
    assert read_zone_file(path).place(16) == f"{path}:2:10"
    path.write_bytes(ZONE)
    assert read_zone_file(path).place(16) == str(path)


def test_published_dumps_of_all_bits_are_read(tmp_path: Path) -> None:
    for name in ("atmel8970-508a", "cal-reference-608", "factory-608a"):
        zone = published(name)
        for command in (("xxd",), ("xxd", "-i", "-n", "x"), ("hexdump", "-C"), ("od", "-t", "x1")):
            assert read(tmp_path, made(*command, zone=zone).encode())[0] == zone
