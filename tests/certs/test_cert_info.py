from __future__ import annotations

import ctypes
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertInfo, Code, UsageError
from tests.support.certificates import ROOT, SIGNER, SIGNER_ID
from tests.support.system_programs import require_program

INFO = CertInfo(
    signer_name="Example ATECC608A Signer",
    signer_id=SIGNER_ID,
    signer_public_key=SIGNER.public,
    root_public_key=ROOT.public,
    signer_template_id=1,
    signer_chain_id=0,
    device_template_id=2,
    device_chain_id=0,
    index=3,
)
TEXT = INFO.to_c()


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        CertInfo.parse(text)
    assert caught.value.code == Code.CERTINFO_INVALID
    return caught.value.what


def test_round_trip() -> None:
    assert CertInfo.parse(TEXT) == INFO
    assert INFO.file_name == "atcaprov_cert_info_3.c"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("    0x", "0x"),
        lambda text: text.replace(",\n", ", // rest\n"),
        lambda text: "// first\n" + text + "/* last */",
        lambda text: text.replace("0x", "0X"),
        lambda text: text.replace("[64]", "[]"),
    ],
    ids=range(6),
)
def test_other_spacing_and_comments(change: object) -> None:
    assert callable(change)
    changed = change(TEXT)
    if "// rest" in changed:  # a comment inside a value is not ours
        assert "Line" in refused(changed)
    else:
        assert CertInfo.parse(changed) == INFO


@pytest.mark.slow
@given(st.text(min_size=1, max_size=64).filter(lambda text: text.isprintable()))
def test_any_name(name: str) -> None:
    info = replace(INFO, signer_name=name)
    assert CertInfo.parse(info.to_c()) == info


def test_truncated_at_each_length() -> None:
    for length in range(len(TEXT.rstrip())):
        refused(TEXT[:length])


@pytest.mark.slow
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 6))
def test_flipped_bits_are_refused_or_harmless(position: int, bit: int) -> None:
    changed = TEXT[:position] + chr(ord(TEXT[position]) ^ 1 << bit) + TEXT[position + 1 :]
    try:
        found = CertInfo.parse(changed)
    except UsageError:
        return
    assert found == INFO  # in a comment, the case of a digit, or a blank


@given(st.text(max_size=300))
def test_garbage(text: str) -> None:
    refused(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("_format = 1", "_format = 2", "format 2"),
        ("Example", "Exbmple", "changed or damaged"),
        ("_signer_id[2]", "_signer_id[3]", "Line .*signer_id must be an array of 2 bytes"),
        ("_device_template_id = 2", "_device_template_id = 16", "Line .*0 to 15"),
        ("_device_template_id = 2", "_device_template_id = 3", "changed or damaged"),
        ("_device_template_id", "_device_template_ix", "not known"),
        ("_device_template_id", "_signer_template_id", "given twice"),
        ("info_3_check", "info_4_check", "several"),
        ("const char", "const int", "Line 12 "),
    ],
)
def test_changed_values(old: str, new: str, message: str) -> None:
    assert old in TEXT
    assert re.search(message, refused(TEXT.replace(old, new)))


def test_key_off_the_curve_is_reported_with_its_line() -> None:
    bad = replace(INFO, root_public_key=bytes(64))
    assert "root_public_key is not a point" in refused(bad.to_c())


def test_a_file_that_is_too_long() -> None:
    assert "at most" in refused(TEXT + " " * 70_000)


def test_it_compiles_and_holds_the_same_values(tmp_path: Path) -> None:
    gcc = require_program("gcc")
    source, library = tmp_path / INFO.file_name, tmp_path / "info.so"
    info = replace(INFO, signer_name='Ünit "7" \\ ??= Signer')
    source.write_text(info.to_c(), encoding="utf-8")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-trigraphs", "-shared", "-fPIC"]
    done = subprocess.run([gcc, *flags, "-o", library, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(library))
    prefix = "g_atcaprov_cert_info_3_"
    assert bytes((ctypes.c_uint8 * 64).in_dll(loaded, prefix + "root_public_key")) == ROOT.public
    assert bytes((ctypes.c_uint8 * 64).in_dll(loaded, prefix + "signer_public_key")) == SIGNER.public
    assert bytes((ctypes.c_uint8 * 2).in_dll(loaded, prefix + "signer_id")) == SIGNER_ID
    assert ctypes.c_uint8.in_dll(loaded, prefix + "device_template_id").value == 2
    name = info.signer_name.encode()
    assert bytes((ctypes.c_char * (len(name) + 1)).in_dll(loaded, prefix + "signer_name").raw) == name + b"\0"
