"""`atcaprov chip cert`: ours by folder and definitions, public layouts, and what is half there."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import Code
from atcaprov.cli.main import atcaprov
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.state_file import chip_file
from signer_module.cli import cli as signer_module_program
from tests.support.chips_by_use import provisioned
from tests.support.in_memory_server import MemoryCa
from tests.support.programs import Ended, run_in_process
from tests.support.signer_modules import hal_of, order, root_folder, signer_module
from tests.support.system_programs import require_program

pytestmark = pytest.mark.slow
KEY_SLOT, DEVICE, SIGNER_KEY, SIGNER = 0, 10, 11, 12


def cert(folder: Path, chip: Memory | bytes, *options: object) -> Ended:
    file = folder / "chip.json"
    file.write_bytes(chip if isinstance(chip, bytes) else chip_file(chip))
    before = file.read_bytes()
    ended = run_in_process(atcaprov, "chip", "cert", "--device", f"emulator:{file}", *map(str, options))
    assert file.read_bytes() == before
    return ended


def issued(authority: MemoryCa) -> list[bytes]:
    reply = next(iter(authority.issued.values()))
    return [reply.device_certificate, reply.signer_certificate]


def ders(pem: bytes) -> list[bytes]:
    return [each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(pem)]


def test_ours_by_the_folder_of_the_signer(authority: MemoryCa, finished: bytes, export: Path, tmp_path: Path) -> None:
    out = tmp_path / "chain.pem"
    ended = cert(tmp_path, finished, "--signer", export, "--out", out)
    assert ended.code == 0, ended.err
    assert "layout          atcaprov:" in ended.out
    assert ders(out.read_bytes()) == issued(authority)


def test_openssl_verifies_the_file_as_it_is(finished: bytes, export: Path, tmp_path: Path) -> None:
    out = tmp_path / "chain.pem"
    assert cert(tmp_path, finished, "--signer", export, "--out", out).code == 0
    options = ("-x509_strict", "-CAfile", export / "root.pem", "-untrusted", out, out)
    done = subprocess.run([require_program("openssl"), "verify", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ours_by_definition_files(authority: MemoryCa, finished: bytes, export: Path, tmp_path: Path) -> None:
    names = [word for role in ("device", "signer") for word in ("--definition", export / f"{role}_definition.json")]
    for more in (("--certinfo", export / "atcaprov_cert_info_0.c"), ("--root", export / "root.pem")):
        ended = cert(tmp_path, finished, *names, *more, "--pem")
        assert ended.code == 0, ended.err
        assert ders(ended.out.encode()) == issued(authority)


def test_device_definition_alone_needs_the_certificate_of_the_issuer(
    authority: MemoryCa, finished: bytes, export: Path, tmp_path: Path
) -> None:
    definition = ("--definition", export / "device_definition.json")
    ended = cert(tmp_path, finished, *definition, "--issuer", export / "signer.pem", "--pem")
    assert ended.code == 0, ended.err
    assert ders(ended.out.encode()) == issued(authority)
    other = cert(tmp_path, finished, *definition, "--issuer", export / "root.pem")
    assert (other.code, "Error [key-mismatch]" in other.err) == (7, True)


def test_ours_without_its_definition_is_named_and_not_guessed(finished: bytes, tmp_path: Path) -> None:
    ended = cert(tmp_path, finished, "--json")
    assert ended.code == 7
    found = json.loads(ended.out)
    assert found["chains"] == []
    assert {problem["code"] for problem in found["problems"]} == {"definition-unknown"}
    assert "Slot 10 holds a compressed certificate (template id" in found["problems"][0]["message"]


def test_chain_of_the_maker_is_exported_for_the_cloud(tmp_path: Path) -> None:
    chip = load_image("tngtls").make(SeededRandom(b"cloud"))
    ended = cert(tmp_path, chip, "--pem")
    assert ended.code == 0
    device, signer = x509.load_pem_x509_certificates(ended.out.encode())
    device.verify_directly_issued_by(signer)
    assert device.subject.rfc4514_string() == f"CN=sn{chip.serial.hex().upper()},O=Microchip Technology Inc"


def test_json_is_one_line_with_the_chain(authority: MemoryCa, finished: bytes, export: Path, tmp_path: Path) -> None:
    ended = cert(tmp_path, finished, "--signer", export, "--json")
    (line,) = ended.out.splitlines()
    found = json.loads(line)
    (chain,) = found["chains"]
    assert (chain["layout"], chain["key_slot"], chain["is_signed"]) == ("atcaprov", 0, True)
    assert [each["certificate"] for each in chain["certificates"]] == [der.hex().upper() for der in issued(authority)]
    assert [each["slots"] for each in chain["certificates"]] == [[10], [12, 11]]


# What is half there


def without_certificate(memory: Memory) -> None:
    memory.write_slot(DEVICE, 0, bytes(72))


def without_key(memory: Memory) -> None:
    MemorySlot(memory, KEY_SLOT).store_private_key(bytes(32))


def with_another_key(memory: Memory) -> None:
    MemorySlot(memory, KEY_SLOT).store_private_key((7).to_bytes(32))


def with_another_template(memory: Memory) -> None:
    content = bytearray(memory.read_slot(DEVICE, 0, 72))
    content[69] ^= 0x70
    memory.write_slot(DEVICE, 0, bytes(content))


def unlocked(memory: Memory) -> None:
    memory.config[86] = 0x55


def blank(memory: Memory) -> None:
    memory.config[86:88] = b"\x55\x55"


@pytest.mark.parametrize(
    ("change", "code", "exit_code"),
    [
        (without_certificate, Code.KEY_WITHOUT_CERTIFICATE, 7),
        (without_key, Code.CERTIFICATE_WITHOUT_KEY, 7),
        (with_another_key, Code.KEY_MISMATCH, 7),
        (with_another_template, Code.CERTIFICATE_MISMATCH, 7),
        (unlocked, Code.NOT_PROVISIONED, 6),
        (blank, Code.NOT_PROVISIONED, 6),
    ],
)
def test_key_or_certificate_alone_is_named(
    authority: MemoryCa,
    export: Path,
    tmp_path: Path,
    change: Callable[[Memory], None],
    code: Code,
    exit_code: int,
) -> None:
    memory = provisioned(authority)
    change(memory)
    problem = json.loads(cert(tmp_path, memory, "--signer", export, "--json").out)["problems"][0]
    assert (problem["code"], problem["board"]) == (code, "set-aside" if exit_code == 7 else "untouched")
    ended = cert(tmp_path, memory, "--signer", export)
    assert ended.code == exit_code
    assert f"Error [{code}]: " in ended.err


@pytest.mark.parametrize("image", ["atecc608a", "atecc508a"])
def test_blank_chip_has_no_certificates(tmp_path: Path, image: str) -> None:
    ended = cert(tmp_path, load_image(image).make(SeededRandom(b"blank")), "--json")
    assert (ended.code, json.loads(ended.out)["chains"]) == (6, [])


# Options that do not go together


def test_cert_info_alone_is_refused_with_what_to_add(finished: bytes, export: Path, tmp_path: Path) -> None:
    ended = cert(tmp_path, finished, "--certinfo", export / "atcaprov_cert_info_0.c")
    assert ended.code == 2
    assert "Add --host NAME" in ended.err


@pytest.mark.parametrize(
    "options",
    [
        ("--host", "localhost"),
        ("--signer", "export", "--host", "localhost"),
        ("--definition", "export/device_definition.json"),
        ("--definition", "export/device_definition.json", "--definition", "export/device_definition.json"),
        ("--definition", "export/device_definition.json", "--definition", "export/signer_definition.json"),
        ("--signer", "."),
        ("--root", "export/device_definition.json"),
        ("--out", "export/root.pem"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    export: Path, tmp_path: Path, finished: bytes, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cert(tmp_path, finished, *options)
    assert ended.code == 2, ended.out
    assert export.is_dir()


def test_definition_of_another_product_is_named(
    authority: MemoryCa, finished: bytes, export: Path, tmp_path: Path
) -> None:
    other = replace(authority.device_definition, template_id=9)
    (export / "device_definition.json").write_text(other.to_json())
    ended = cert(tmp_path, finished, "--signer", export)
    assert (ended.code, "template id" in ended.err) == (7, True)


def test_signer_module_is_named_as_one_and_not_as_a_copy(tmp_path: Path) -> None:
    hal = hal_of(signer_module(root_folder(tmp_path / "root"), order()))
    ended = cert(tmp_path, hal.memory)
    assert ended.code == 7
    assert "This chip is a signer module of this project" in ended.err
    _, advice = ended.err.rstrip().split("\n", 1)
    words = shlex.split(advice.replace("\n", " ").removesuffix(" shows it."))
    program, *arguments = shlex.split(words[0])
    assert (program, *arguments[:2]) == ("signer-module", "info", "--device")
    assert run_in_process(signer_module_program, *arguments).code == 0
