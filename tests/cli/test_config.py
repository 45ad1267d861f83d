from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atcaprov.cli.main import atcaprov
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.hex_file import format_hex, parse_hex
from tests.support.config_zones import CONVERSIONS, changed, published
from tests.support.programs import Ended, run_in_process

CONFIGS = Path(__file__).parents[2] / "configs"
DEFAULT_HEX = str(CONFIGS / "atecc608a-default.hex")
DEFAULT_TOML = str(CONFIGS / "atecc608a-default.toml")


def config(*arguments: str | Path) -> Ended:
    return run_in_process(atcaprov, "config", *(str(argument) for argument in arguments))


@pytest.fixture
def kit_table(tmp_path: Path) -> Path:
    path = tmp_path / "kit.hex"
    path.write_text(format_hex(published("atmel8970-508a")))
    return path


@pytest.mark.parametrize("file", [DEFAULT_HEX, DEFAULT_TOML])
def test_show_explains_fields_and_slots(file: str) -> None:
    ended = config("show", file)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "ATECC608 configuration zone"
    assert "  16  I2C_Address           C0                  address C0 (7-bit 0x60)" in lines
    assert (
        "   0  0085        0033       P-256 private key: external signatures, ECDH in clear; fixed; lockable" in lines
    )
    assert sum(line[:4].strip().isdigit() for line in lines) == 16 + 16


def test_show_names_the_part(kit_table: Path) -> None:
    assert "OTP read-only" in config("show", kit_table, "--part", "ATECC508A").out
    assert "OTP read-only" not in config("show", kit_table).out


def test_show_writes_a_hex_file() -> None:
    ended = config("show", DEFAULT_TOML, "--hex")
    assert ended.out == format_hex(DEFAULT_608A)
    assert parse_hex(ended.out) == DEFAULT_608A


def test_show_says_which_form_was_read(tmp_path: Path) -> None:
    header = tmp_path / "cfg.h"
    header.write_text(f"const uint8_t cfg[128] = {{ {', '.join(str(byte) for byte in DEFAULT_608A)} }};")
    ended = config("show", header, "--hex")
    assert (ended.out, ended.err) == (format_hex(DEFAULT_608A), f"{header}: read as an array named cfg.\n")
    assert config("show", DEFAULT_HEX).err == ""
    assert f"{header}:1:" in config("check", header).out + config("check", header, "--device-key-slot", "8").out


def test_show_without_a_file_explains_the_default() -> None:
    assert config("show").out == config("show", DEFAULT_TOML).out
    assert config("show", "--hex").out == format_hex(DEFAULT_608A)


def test_check_of_the_default_is_good() -> None:
    ended = config("check", DEFAULT_HEX, "--written-slots", "5,6,7,9")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == "Tried on a software ATECC608: after all locks, slots can be"
    assert "  never changed again           0, 6-7, 9-12" in ended.out.splitlines()
    assert ended.out.splitlines()[-1] == f"{DEFAULT_HEX} can be locked: 0 errors, 0 warnings, 0 infos."


def test_check_refuses_a_508a_table_with_line_and_byte(kit_table: Path) -> None:
    ended = config("check", kit_table)
    assert ended.code == 2
    assert f"{kit_table}:5:13: error: byte 68: bytes 68-83 are all FF" in ended.out
    assert "[table-of-508a]" in ended.out
    assert ended.err.startswith("Error [config-zone-unsafe]: ")
    assert "1 error, 5 warnings" in ended.err
    assert config("check", kit_table, "--part", "ATECC508A").code == 0


@pytest.mark.slow
def test_check_uses_the_options_of_the_product(tmp_path: Path) -> None:
    path = tmp_path / "moved.hex"
    path.write_text(format_hex(changed((16, "6A"))))
    assert config("check", path).code == 2
    assert config("check", path, "--allow", "i2c-address").code == 0
    assert config("check", DEFAULT_HEX, "--certificate-slots", "2").code == 2
    assert config("check", DEFAULT_HEX, "--certificate-slots", "").code == 0
    assert config("check", DEFAULT_HEX, "--slots-to-lock", "8,13").code == 0
    assert config("check", DEFAULT_HEX, "--slots-to-lock", "10").code == 2
    assert config("check", DEFAULT_HEX, "--device-key-slot", "8").code == 2


def test_diff_prints_words(tmp_path: Path) -> None:
    path = tmp_path / "moved.hex"
    path.write_text(format_hex(changed((16, "6A"))))
    ended = config("diff", DEFAULT_HEX, path)
    assert ended.code == 0
    assert ended.out == (
        "byte 16: I2C_Address C0 -> 6A\n    - address C0 (7-bit 0x60)\n    + address 6A (7-bit 0x35)\n"
    )
    assert config("diff", DEFAULT_HEX, path, "--exit-code").code == 1


def test_diff_of_the_same() -> None:
    ended = config("diff", DEFAULT_HEX, DEFAULT_TOML, "--exit-code")
    assert (ended.code, ended.out) == (0, "The zones are the same.\n")


def test_convert_makes_a_508a_table_safe(kit_table: Path, tmp_path: Path) -> None:
    ended = config("convert", kit_table)
    assert ended.code == 0
    assert parse_hex(ended.out)[16:].hex() == CONVERSIONS["atmel8970-508a"]["bytes_16_127"]
    converted = tmp_path / "converted.hex"
    converted.write_text(ended.out)
    assert config("check", converted).code == 0


def test_112_bytes_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "short.hex"
    path.write_text(format_hex(DEFAULT_608A[16:]))
    for command in (("show", path), ("check", path), ("diff", path, path), ("convert", path)):
        assert config(*command).code == 2
        assert config(*command, "--accept-112").code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds 0 bytes"),
        ("00 0G", "line 1, column 5: 'G' is not a hex digit (in byte 1)"),
        (format_hex(DEFAULT_608A) + "00", "(byte 128) stands at line 9, column 1"),
    ],
)
def test_files_without_a_zone_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "zone.hex"
    path.write_text(text)
    for command in (("show", path), ("check", path), ("diff", path, path), ("convert", path)):
        ended = config(*command)
        assert (ended.code, ended.out) == (2, "")
        assert f"Error [config-zone-invalid]: {path}: " in ended.err
        assert words in ended.err


def test_a_missing_file(tmp_path: Path) -> None:
    ended = config("show", tmp_path / "none.hex")
    assert ended.code == 2
    assert ended.err.startswith("Error [file-unreadable]: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("frob",),
        ("show", DEFAULT_HEX, "--part", "ATSHA204"),
        ("check", DEFAULT_HEX, "--certificate-slots", "16"),
        ("check", DEFAULT_HEX, "--certificate-slots", "ten"),
        ("check", DEFAULT_HEX, "--slots-to-lock", "\u0663"),
        ("check", DEFAULT_HEX, "--device-key-slot", "16"),
        ("check", DEFAULT_HEX, "--allow", "everything"),
        ("diff", DEFAULT_HEX),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...]) -> None:
    ended = config(*arguments)
    assert ended.code == 2
    assert "Error: " in ended.err


def test_show_imports_only_what_it_needs() -> None:
    program = (
        "import sys\n"
        "from atcaprov.program.exit_codes import run_program\n"
        "from atcaprov.cli.main import atcaprov\n"
        "try:\n"
        "    run_program(atcaprov, 'atcaprov', sys.argv[1:])\n"
        "finally:\n"
        "    heavy = {'cryptography', 'cryptoauthlib', 'cbor2', 'asyncio', 'tomllib'} & set(sys.modules)\n"
        "    print('loaded:', *sorted(heavy))\n"
    )
    command = [sys.executable, "-c", program, "config", "show", DEFAULT_HEX]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "loaded:"
