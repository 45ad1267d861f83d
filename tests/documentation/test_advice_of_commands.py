"""Advice of `atcaprov`, `signer-module` and `provisioning-server` is typed where the error came, and the error ends."""

from __future__ import annotations

import errno
import re
import signal
import socket
from dataclasses import replace
from pathlib import Path

import click
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atcaprov.certs.definitions.fields import DeviceLocation, DeviceZone
from atcaprov.chip.commands import Opcode, Zone
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import LOCK_CONFIG, UNLOCKED
from atcaprov.cli.main import atcaprov
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.state_file import StateFile
from provisioning_server.signers.software import SoftwareSigner
from signer_module.cli import cli as signer_module
from tests.cli.test_emulator import client_of, ended, serving
from tests.importing.conftest import configured_chip
from tests.importing.test_private_key_import import ENCRYPTED_ONLY, KEY, WRITE_KEY
from tests.provisioning_server.web.test_program import certificate_files
from tests.support.chips_by_use import provisioned
from tests.support.exported_signers import export_of
from tests.support.in_memory_server import MemoryCa
from tests.support.programs import run_in_process
from tests.support.scripted_hal import ScriptedHal
from tests.support.secret_files import secret_file
from tests.support.server import server_program
from tests.support.signer_folders import make_signer_folder
from tests.support.signer_modules import CHEAP

pytestmark = pytest.mark.slow


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(program: click.Command, *words: object, code: int) -> str:
    done = run_in_process(program, *map(str, words))
    text = " ".join((done.out + done.err).split())
    assert done.code == code, text
    return text


def test_kit_port_replaces_a_pseudo_terminal_that_cannot_be_had(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, which has none: the same advice is given, from the same place."""

    def none_left() -> tuple[int, int]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.openpty", none_left)
    refused = said(atcaprov, "emulator", "serve", "--pty", "port", code=2)
    assert "Cannot open a pseudo-terminal: No space left on device." in refused
    (option,) = re.findall(r"Use (--kit) with a TCP port\.", refused)
    with serving(option, "0") as (program, places), client_of(places["kit"]) as client:
        client.send(b"board:version()\n")
        assert client.take_line()
        assert ended(program, signal.SIGTERM) == (0, "", "")


def test_chip_that_forgets_its_configuration_is_recorded_without_being_given_up(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hal = ScriptedHal()

    def forgetful(packet: bytes) -> bytes:
        is_lost = packet[1] == Opcode.WRITE and packet[2] & 3 == Zone.CONFIG
        return with_crc(b"\x04\x00") if is_lost else hal.chip.exchange(packet)

    hal.answer = forgetful
    monkeypatch.setattr("atcaprov.cli.emulator.open_hal", lambda url: hal)
    record = ("emulator", "record", "emulator:", "part.jsonl")
    given_up = run_in_process(
        atcaprov, *record, "--answers", "answers.json", "--give-up", hal.memory.serial.hex(), "--setup", "1"
    )
    assert given_up.code == 6
    assert "It is not locked." in given_up.err
    assert "record it without --give-up." in given_up.err
    assert hal.memory.config[LOCK_CONFIG] == UNLOCKED
    Path("part.jsonl").unlink()
    assert run_in_process(atcaprov, *record).code == 0
    assert Path("part.jsonl").exists()


def test_signer_whose_key_is_not_stored_is_named_as_the_advice_says(here: Path) -> None:
    authority = MemoryCa()
    StateFile(Path("chip.json")).keep(provisioned(authority))
    export_of(authority, Path("export"))
    not_stored = DeviceLocation(DeviceZone.GENKEY, 0, True, 0, 64)
    definition = replace(authority.signer_definition, public_key_dev_loc=not_stored)
    Path("export/signer_definition.json").write_text(definition.to_json())
    files = [word for role in ("device", "signer") for word in ("--definition", f"export/{role}_definition.json")]
    words = ("chip", "cert", "--device", "emulator:chip.json", "--root", "export/root.pem", *files)
    assert "Give --certinfo FILE, or the signer's certificate with --issuer FILE." in said(atcaprov, *words, code=7)
    for named in (("--certinfo", "export/atcaprov_cert_info_0.c"), ("--issuer", "export/signer.pem")):
        done = run_in_process(atcaprov, *words, *named)
        assert (done.code, done.err) == (0, "")


KEY_FILE = ("--insecure-private-key", "key.pem")


def with_key_file(**chip: object) -> tuple[str, ...]:
    """Write the key and a chip, and return the command that brings the one into the other."""
    Path("key.pem").write_bytes(KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    StateFile(Path("chip.json")).keep(configured_chip(**chip).memory)  # type: ignore[arg-type]
    return ("import-key", "--device", "emulator:chip.json", *KEY_FILE)


def test_key_on_the_chip_is_replaced_with_the_advised_option(here: Path) -> None:
    words = (*with_key_file(data_locked=False), "--slot", "2")
    (option,) = re.findall(r"give (--replace-key)\.", said(atcaprov, *words, code=6))
    said(atcaprov, *words, option, code=0)


def test_key_for_the_encrypted_write_is_given_as_the_advice_says(here: Path) -> None:
    words = (*with_key_file(slots=ENCRYPTED_ONLY, content={6: WRITE_KEY}), "--slot", "3")
    Path("right.bin").write_bytes(WRITE_KEY)
    Path("wrong.bin").write_bytes(bytes(32))
    assert "Give that key's 32 bytes with --write-key FILE." in said(atcaprov, *words, code=2)
    wrong = said(atcaprov, *words, "--write-key", "wrong.bin", code=5)
    assert "Check that the file of --write-key is what slot 6 of this chip holds." in wrong
    said(atcaprov, *words, "--write-key", "right.bin", code=0)


def test_resumed_module_takes_its_own_signer_id_or_none(here: Path) -> None:
    said(signer_module, "root", "create", "--out", "root", "--no-password", code=0)
    create = ("signer", "create", "--root", "root", "--no-password", *CHEAP)
    Path("cut.toml").write_text('[[fault]]\nkind = "power-before"\nopcode = "Lock"\np1 = 1\ntimes = 99\n')
    for number, given, options in ((1, "6677", ()), (2, "6678", ("--signer-id", "6678"))):
        chip = f"emulator:{number}.json"
        cut = run_in_process(
            signer_module, *map(str, create), "--device", f"{chip}?faults=cut.toml", "--signer-id", given
        )
        assert cut.code != 0
        refused = said(signer_module, *create, "--device", chip, "--signer-id", "0099", code=2)
        assert "Leave out --signer-id, or give this one." in refused
        said(signer_module, *create, "--device", chip, *options, code=0)


def test_server_is_started_where_it_can_listen_and_write(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path).path
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        for wrong, advice in (
            (("--data", "/dev/null"), "Choose a folder that this user may write with --data."),
            (("--bind", "192.0.2.1", "--plain-network"), "Check --bind and --port."),
            (
                ("--bind", "192.0.2.1"),
                "Add --tls, or bind to 127.0.0.1; add --plain-network if the network is yours alone.",
            ),
            (("--port", taken), "or choose another port with --port."),
            (("--web", f"127.0.0.1:{taken}"), "Choose another port for the web page with --web."),
        ):
            with server_program("--signer", signer, "--data", tmp_path / "wrong", *wrong) as server:
                assert server.finish() in (2, 3)
            assert advice in " ".join(server.errors.split())
        tls = ("--tls", "--tls-name", "line.example")
        right = (*tls, "--data", tmp_path / "right", "--bind", "127.0.0.1", "--port", "0", "--web", "127.0.0.1:0")
        with server_program("--signer", signer, *right) as server:
            server.address()
            assert server.stop() == 0


def test_page_is_served_at_an_address_of_this_computer_with_a_certificate_for_it(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path).path
    for name in ("nameless", "good"):
        (tmp_path / name).mkdir()
    line = [x509.DNSName("line.example")]
    nameless = certificate_files(tmp_path / "nameless", [])
    good = certificate_files(tmp_path / "good", line)
    check = "Check --web-cert and --web-key"
    for web, (certificate, key), advice in (
        ("192.0.2.1:0", good, "Check --web."),
        ("127.0.0.1:0", nameless, f"{check}; the certificate must list the host's name (subject alternative name)."),
        ("127.0.0.1:0", (good[0], tmp_path / "missing.pem"), f"{check}."),
        ("127.0.0.1:0", good, ""),
    ):
        page = ("--web", web, "--web-cert", certificate, "--web-key", key)
        with server_program("--signer", signer, "--data", tmp_path / "data", *page) as server:
            if advice:
                assert server.finish() in (2, 3)
            else:
                server.address()
                assert server.stop() == 0
        assert advice in " ".join(server.errors.split())


def test_chip_that_does_not_sign_before_the_data_lock_becomes_a_signer_module(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atcaprov.emulator.chip.OpenPoints", lambda: OpenPoints(data_open_use=False))
    order = ("--quota", 3, "--no-password", *CHEAP, "--device", "emulator:chip.json")
    refused = said(signer_module, "root", "create", "--out", "module", *order, code=5)
    (words,) = re.findall(r"'signer-module ([^']*)' with the same --quota", refused)
    assert words == "signer create"
    said(signer_module, "root", "create", "--out", "root", "--no-password", code=0)
    said(signer_module, *words.split(), "--root", "root", *order, code=0)


def test_password_of_one_of_several_signers_is_given_by_its_serial_number(tmp_path: Path) -> None:
    given = {"one": b"correct horse", "two": b"battery staple"}
    folders = []
    for name, password in given.items():
        (tmp_path / name).mkdir()
        folders.append(make_signer_folder(tmp_path / name, password=password).path)
    serials = [SoftwareSigner.load(folder).serial for folder in folders]
    named = [
        f"{serial.hex().upper()}={password.decode()}" for serial, password in zip(serials, given.values(), strict=True)
    ]
    start = [word for folder in folders for word in ("--signer", folder)]
    for content, is_right in (("correct horse\n", False), ("\n".join(named) + "\n", True)):
        passwords = secret_file(tmp_path / f"passwords-{is_right}", content)
        options = ("--data", tmp_path / "data", "--password-file", passwords)
        with server_program(*start, *options) as server:
            if is_right:
                for _ in folders:
                    server.wait_for("password accepted, ready.")
                assert server.stop() == 0
            else:
                assert server.finish() == 2
                assert "of several, name each: SN=password." in " ".join(server.errors.split())
