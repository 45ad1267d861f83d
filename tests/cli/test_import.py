"""`atcaprov import` and `import-key` as a user runs them, on chips in files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)

from atcaprov import Act, Device
from atcaprov.certs.keys import load_public_key
from atcaprov.chip.crc import crc16
from atcaprov.cli.main import atcaprov
from tests.support.certificates import Key
from tests.support.company_ca import DEVICE_DEFINITION, ISSUERS, SIGNER_DEFINITION, fitting, plain
from tests.support.programs import Ended, run_in_process
from tests.support.system_programs import require_program

CHIP = "emulator:chip.json?image=tflxtls"
"""A chip with both zones locked, writable slots for certificates, and the maker's certificates in them."""


def run(*arguments: str) -> Ended:
    return run_in_process(atcaprov, *arguments)


def facts(*arguments: str) -> dict[str, Any]:
    ended = run(*arguments, "--json")
    assert ended.code == 0, ended.err
    assert ended.out.count("\n") == 1
    found = json.loads(ended.out)
    assert isinstance(found, dict)
    return found


def pem(*certificates: bytes) -> bytes:
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in certificates)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes]:
    """Certificates for a chip in the current folder; its key (X||Y) and serial number are returned."""
    monkeypatch.chdir(tmp_path)
    with Device.open(CHIP) as device:
        key, serial = device.get_pubkey(0), device.serial_number()
    Path("device.pem").write_bytes(pem(fitting(key, serial)))
    Path("plain.der").write_bytes(plain(key))
    Path("chain.pem").write_bytes(pem(*ISSUERS))
    chain = [x509.load_der_x509_certificate(der) for der in ISSUERS]
    Path("chain.p7b").write_bytes(pkcs7.serialize_certificates(chain, Encoding.DER))
    Path("definition.json").write_text(DEVICE_DEFINITION.to_json())
    return key, serial


@pytest.mark.slow
def test_compressed_and_again(files: tuple[bytes, bytes]) -> None:
    arguments = ("import", "--device", CHIP, "device.pem", "--chain", "chain.pem")
    ended = run(*arguments)
    assert (ended.code, ended.out) == (6, "")
    assert "[slot-not-blank]: Slot 10 is not blank" in ended.err
    dry = facts(*arguments, "--overwrite", "--dry-run")
    assert (dry["form"], dry["dry_run"], dry["verified"]) == ("compressed", True, False)
    ended = run(*arguments, "--overwrite")
    assert ended.out == (
        f"Chip {files[1].hex().upper()}: the certificate is for the key in slot 0.\n"
        "Slot 10, bytes 0-71: written.\n"
        "Slot 12, bytes 0-71: written.\n"
        "Slot 11, bytes 0-71: written.\n"
        "Read back and compared: stored compressed.\n"
    ), ended.err
    again = facts(*arguments)
    assert [slot["written"] for slot in again["slots"]] == [False, False, False]
    assert (again["verified"], again["definitions"]) == (True, ["device", "signer"])


@pytest.mark.slow
def test_a_dry_run_changes_nothing(files: tuple[bytes, bytes]) -> None:
    before = Path("chip.json").read_bytes()
    arguments = ("import", "--device", CHIP, "plain.der", "--slot", "8", "--dry-run", "--out", "new.pem")
    ended = run(*arguments)
    assert ended.code == 0, ended.err
    assert ended.out.endswith("Nothing was changed.\n")
    assert "would be written to new.pem" in ended.out
    assert Path("chip.json").read_bytes() == before
    assert not Path("new.pem").exists()


@pytest.mark.slow
def test_plain_der_into_slot_8_and_a_file(files: tuple[bytes, bytes]) -> None:
    found = facts(
        "import", "--device", CHIP, "plain.der", "--chain", "chain.p7b", "--slot", "8", "--out", "firmware.pem"
    )
    size = len(Path("plain.der").read_bytes())
    assert (found["form"], found["certificate_size"], found["issuers"]) == ("x509", size, 2)
    assert found["slots"] == [{"slot": 8, "offset": 0, "size": size, "written": True}]
    assert Path("firmware.pem").read_bytes() == pem(Path("plain.der").read_bytes(), ISSUERS[0])
    with Device.open(CHIP) as device:
        assert device.read_slot(8, 0, size) == Path("plain.der").read_bytes()


@pytest.mark.slow
def test_the_page_names_every_key_of_the_json_line(files: tuple[bytes, bytes]) -> None:
    reference = Path(__file__).parents[2] / "docs" / "reference"
    page = (reference / "import.md").read_text(encoding="utf-8")
    table = page.split("### JSON", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line)))
    assert set(facts("import", "--device", CHIP, "plain.der", "--slot", "8")) == named
    Path("key.pem").write_bytes(KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    page = (reference / "import-key.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `--json`"))
    with Device.open("emulator:blank.json") as device, device.permit(Act.LOCK_CONFIG):
        device.lock_config(crc16(device.read_config()))
    arguments = ("import-key", "--device", "emulator:blank.json", "--slot", "0", "--insecure-private-key", "key.pem")
    assert set(facts(*arguments)) == set(re.findall(r"`([a-z_]+)`", row))


@pytest.mark.slow
def test_certificate_that_fits_no_slot_goes_into_a_file(files: tuple[bytes, bytes]) -> None:
    ended = run("import", "--device", CHIP, "plain.der", "--out", "firmware.pem")
    assert ended.code == 0, ended.err
    assert "It is not stored on the chip: The issuer's certificate is missing" in ended.out
    assert "Its signature was not verified" in ended.out
    assert Path("firmware.pem").exists()
    again = run("import", "--device", CHIP, "plain.der", "--out", "firmware.pem")
    assert again.code == 2
    assert "[file-unwritable]" in again.err


@pytest.mark.slow
def test_a_definition_from_a_file(files: tuple[bytes, bytes]) -> None:
    arguments = ("import", "--device", CHIP, "--chain", "chain.pem", "--definition", "definition.json")
    assert facts(*arguments, "device.pem", "--overwrite")["definitions"] == ["device"]
    Path("signer.json").write_text(SIGNER_DEFINITION.to_json())
    both = facts(*arguments, "--definition", "signer.json", "device.pem", "--overwrite")
    assert both["definitions"] == ["device", "signer"]
    ended = run(*arguments, "plain.der", "--overwrite")
    assert ended.code == 7
    assert "subject CN: expected 'Example ATECC608A Device " in ended.err


@pytest.mark.slow
def test_each_field_that_differs_is_a_line_below_the_advice(files: tuple[bytes, bytes]) -> None:
    arguments = ("import", "--device", CHIP, "plain.der", "--chain", "chain.pem")
    ended = run(*arguments)
    what, advice, *fields = ended.err.splitlines()
    begin = "The certificate has no compressed form under the definition device:"
    assert what == f"Error [certificate-mismatch]: {begin} {len(fields)} fields differ."
    assert "give --slot 8" in advice
    assert [line[:2] for line in fields] == ["  "] * len(fields)
    kept = run(*arguments, "--out", "kept.pem")
    assert f"It is not stored on the chip: {begin} {len(fields)} fields differ.\n{fields[0]}\n" in kept.out
    assert facts(*arguments, "--out", "again.pem")["differences"] == [line.strip() for line in fields]


@pytest.mark.slow
def test_wrong_options_and_files(files: tuple[bytes, bytes]) -> None:
    Path("broken.json").write_text("{}")
    Path("text").write_text("hello")
    for code, arguments in (
        (2, ("missing.pem",)),
        (2, ("text",)),
        (2, ("plain.der", "--chain", "text")),
        (7, ("plain.der", "--definition", "broken.json")),
        (2, ("plain.der", "--definition", "definition.json", "--slot", "8")),
        (2, ("plain.der", "--slot", "16")),
        (6, ("plain.der", "--slot", "9")),
        (2, ()),
    ):
        ended = run("import", "--device", CHIP, *arguments)
        assert ended.code == code, (arguments, ended.err)


def test_a_chip_that_does_not_exist_is_not_created(files: tuple[bytes, bytes]) -> None:
    ended = run("import", "--device", "emulator:other.json", "plain.der", "--slot", "8")
    assert ended.code == 6
    assert not Path("other.json").exists()


def options_of(advice: str) -> list[list[str]]:
    """Return the ways out that an advice names: each option with its value."""
    found = re.findall(r"(--slot|--out|--chain) (\d+|FILE)?", advice)
    values = {"--out": "advised.pem", "--chain": "chain.pem"}
    return [[option, values.get(option, value)] for option, value in found]


@pytest.mark.slow
def test_what_an_error_advises_works(files: tuple[bytes, bytes]) -> None:
    ended = run("import", "--device", CHIP, "plain.der", "--chain", "chain.pem")
    assert ended.code == 7
    ways = options_of(ended.err.split("\n")[1])
    assert ways == [["--slot", "8"], ["--out", "advised.pem"]]
    for way in ways:
        done = run("import", "--device", CHIP, "plain.der", "--chain", "chain.pem", *way)
        assert done.code == 0, done.err
    assert Path("advised.pem").exists()
    ended = run("import", "--device", CHIP, "device.pem", "--definition", "definition.json")
    assert "[chain-incomplete]" in ended.err
    assert "Give it with --chain." in ended.err
    ended = run("import", "--device", CHIP, "device.pem", "--definition", "definition.json", "--chain", "chain.pem")
    assert "give --overwrite" in ended.err
    done = run(
        "import",
        "--device",
        CHIP,
        "device.pem",
        "--definition",
        "definition.json",
        "--chain",
        "chain.pem",
        "--overwrite",
    )
    assert done.code == 0, done.err
    Path("advised.pem").unlink()
    ended = run("import", "--device", CHIP, "device.pem", "--slot", "9", "--chain", "chain.pem")
    assert "--out FILE without --slot" in ended.err
    done = run("import", "--device", CHIP, "plain.der", "--chain", "chain.pem", "--out", "advised.pem")
    assert done.code == 0, done.err


@pytest.mark.slow
def test_a_certificate_made_for_a_printed_key_as_freertos_has_it(files: tuple[bytes, bytes]) -> None:
    """FreeRTOS prints the public key; OpenSSL certifies it with -force_pubkey, in a certificate of version 1."""
    openssl = require_program("openssl")
    Path("printed.pem").write_bytes(
        load_public_key(files[0]).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for arguments in (
        ("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Lab CA"),
        ("req", "-new", *key, "-keyout", "other.key", "-out", "other.csr", "-subj", "/O=Lab/CN=freertos-thing"),
        (
            *("x509", "-req", "-in", "other.csr", "-force_pubkey", "printed.pem"),
            *("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "30", "-out", "thing.pem"),
        ),
    ):
        subprocess.run([openssl, *arguments], check=True, capture_output=True)
    found = facts("import", "--device", CHIP, "thing.pem", "--chain", "ca.pem", "--slot", "8")
    assert (found["form"], found["key_slot"], found["signature_verified"]) == ("x509", 0, True)
    shown = run("chip", "cert", "--device", CHIP, "--root", "ca.pem", "--json")
    assert shown.code == 0, shown.err
    chains = json.loads(shown.out)["chains"]
    mine = next(chain for chain in chains if chain["layout"] == "x509")
    assert (mine["key_slot"], mine["certificates"][0]["slots"]) == (0, [8])


# A private key

KEY = Key.of(0x1234567890ABCDEF << 150)


def test_a_private_key_needs_its_named_option_and_an_open_slot(files: tuple[bytes, bytes]) -> None:
    data = KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    Path("key.pem").write_bytes(data)
    assert run("import-key", "--device", CHIP, "--slot", "2").code == 2
    ended = run("import-key", "--device", CHIP, "--slot", "2", "--insecure-private-key", "key.pem")
    assert ended.code == 6
    assert "takes no key from outside after the data lock" in ended.err
    for name, content in (("short", bytes(31)), ("word", b"password")):
        Path(name).write_bytes(content)
        ended = run(
            "import-key", "--device", CHIP, "--slot", "2", "--insecure-private-key", "key.pem", "--write-key", name
        )
        assert ended.code == 2
        assert "[key-file-invalid]" in ended.err


def test_the_password_of_a_key_is_asked_for_in_a_terminal_only(files: tuple[bytes, bytes]) -> None:
    """Elsewhere it would be shown, or an empty input would count as Ctrl-C."""
    sealed = BestAvailableEncryption(b"not for the log")
    Path("key.pem").write_bytes(KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
    ended = run("import-key", "--device", CHIP, "--slot", "2", "--insecure-private-key", "key.pem")
    assert ended.code == 2
    assert "There is no terminal for entering the password of key.pem." in ended.err


@pytest.mark.slow
def test_a_program_with_a_private_key_leaves_no_core_dump(files: tuple[bytes, bytes]) -> None:
    resource = pytest.importorskip("resource")
    Path("key.pem").write_bytes(KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    crashing = """
import resource, sys
from atcaprov.cli import import_private_key
from atcaprov.cli.main import main
def crash(*_, **__):
    print(*resource.getrlimit(resource.RLIMIT_CORE), flush=True)
    raise SystemExit(9)
import_private_key.read_private_key = crash
sys.argv = ["atcaprov", "import-key", "--device", "emulator:", "--slot", "2", "--insecure-private-key", "key.pem"]
main()
"""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    done = subprocess.run(
        [sys.executable, "-c", crashing],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    assert done.stdout.split() == ["0", "0"], done.stderr


@pytest.mark.slow
def test_a_private_key_before_the_data_lock(files: tuple[bytes, bytes]) -> None:
    chip = "emulator:blank.json"
    with Device.open(chip) as device, device.permit(Act.LOCK_CONFIG):
        device.lock_config(crc16(device.read_config()))
    Path("key.pem").write_bytes(KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    arguments = ("import-key", "--device", chip, "--slot", "0", "--insecure-private-key", "key.pem")
    ended = run(*arguments, "--dry-run")
    assert (ended.code, "would be written, in clear" in ended.out) == (0, True), ended.err
    found = facts(*arguments)
    assert (found["written"], found["encrypted"], found["verified"]) == (True, False, True)
    ended = run(*arguments)
    assert "is there already." in ended.out
    assert "delete it" in ended.out
