"""Signers whose keys are in an HSM, judged by SoftHSM behind the running program."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, TransportError, UsageError
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply
from provisioning_server.log_names import label
from provisioning_server.signers.hsm import HsmSigner
from signer_module.on_files.pkcs11_file import KeyPlace
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.secret_files import secret_file
from tests.support.server import PATIENCE, WireClient, server_command, server_environment, server_program
from tests.support.server_parts import chip_serial, config_zone, key_of
from tests.support.soft_hsm import PIN, SoftHsm, make_hsm_signer, make_soft_hsm
from tests.support.system_programs import require_program

pytestmark = pytest.mark.slow


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    made = make_soft_hsm(tmp_path / "hsm", monkeypatch)
    made.make_token("line 1")
    return made


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    path = tmp_path / "pins"
    return secret_file(path, PIN)


def name(signer: SignerFolder) -> str:
    return label(signer.serial, signer.name)


def request(signer: SignerFolder, number: int = 1) -> CertificatesRequest:
    return CertificatesRequest(config_zone(number), key_of(number), signer.public_key)


def test_an_hsm_certifies_and_openssl_accepts_it(hsm: SoftHsm, pins: Path, tmp_path: Path) -> None:
    openssl = require_program("openssl")
    signer = make_hsm_signer(tmp_path / "a", hsm, "line 1")
    options = ("--signer", signer.path, "--data", tmp_path / "data", "--password-file", pins)
    with server_program(*options) as server:
        address = server.address()
        server.wait_for(f"{name(signer)} password accepted, ready.")
        with WireClient(address) as wire:
            assert isinstance(wire.ask(request(signer)), CertificatesReply)
        assert server.stop() == 0
    assert server.errors == ""
    stem = tmp_path / "data" / "certs" / chip_serial(1).hex().upper()
    command = [openssl, "verify", "-x509_strict", "-CAfile", str(signer.path / "root.pem")]
    done = subprocess.run([*command, "-untrusted", f"{stem}_signer.pem", f"{stem}_device.pem"], check=False)
    assert done.returncode == 0
    for log in (tmp_path / "data" / "logs").iterdir():
        assert PIN not in log.read_bytes()


def test_two_keys_of_one_token_and_one_of_another(hsm: SoftHsm, pins: Path, tmp_path: Path) -> None:
    hsm.make_token("line 2")
    signers = [
        make_hsm_signer(tmp_path / "a", hsm, "line 1", "first", 1),
        make_hsm_signer(tmp_path / "b", hsm, "line 1", "second", 2),
        make_hsm_signer(tmp_path / "c", hsm, "line 2", "first", 1),
    ]
    options = [option for signer in signers for option in ("--signer", signer.path)]
    secret_file(pins, b"".join(b"%s=%s\n" % (signer.serial.hex().encode(), PIN) for signer in signers))
    with server_program(*options, "--data", tmp_path / "data", "--password-file", pins) as server:
        address = server.address()
        accepted = {server.wait_for("password accepted, ready.").partition("] ")[2] for _ in signers}
        assert accepted == {f"{name(signer)} password accepted, ready." for signer in signers}
        with WireClient(address) as wire:
            for number, signer in enumerate(signers, start=1):
                assert isinstance(wire.ask(request(signer, number)), CertificatesReply)
        server.stop()


def test_the_pin_is_asked_with_the_texts_of_the_guide(hsm: SoftHsm, tmp_path: Path) -> None:
    signer = make_hsm_signer(tmp_path / "a", hsm, "line 1")
    program, *options = server_command("--signer", signer.path, "--data", tmp_path / "data", "--port", 0)
    console = pexpect.spawn(program, options, env=server_environment(), timeout=PATIENCE)
    console.delaybeforesend = None
    console.setwinsize(24, 200)
    console.expect_exact(f"{name(signer)} requires password.\r\n")
    console.expect_exact(f"{name(signer)} password: ")
    console.send(b"11111111\r")
    console.expect_exact(f"{name(signer)} password wrong.\r\n")
    console.expect_exact(f"{name(signer)} password: ")
    console.send(PIN + b"\r")
    console.expect_exact(f"{name(signer)} password accepted, ready.\r\n")
    console.send(b"\x1b")
    console.expect(pexpect.EOF)
    console.wait()
    assert console.exitstatus == 0
    console.close()


def test_missing_or_wrong_key_is_reported_and_not_used(hsm: SoftHsm, pins: Path, tmp_path: Path) -> None:
    other = make_hsm_signer(tmp_path / "a", hsm, "line 1", "of another", 1)
    signer = make_hsm_signer(tmp_path / "b", hsm, "line 1", "of this", 2)
    place = signer.path / "pkcs11.toml"
    right = place.read_text()
    secret_file(pins, b"%s=%s\n" % (signer.name.encode(), PIN))
    for label_of_key, says in (("none", "NoSuchKey"), ("of another", "does not belong to the signer certificate")):
        place.write_text(right.replace("of this", label_of_key))
        options = ("--signer", signer.path, "--signer", other.path)
        data = tmp_path / f"data of {label_of_key}"
        with server_program(*options, "--data", data, "--password-file", pins) as server:
            address = server.address()
            both = {says, f"{name(other)} password accepted, ready."}
            while both:  # in either order
                said = server.wait_for(*both)
                both = {text for text in both if text not in said}
            with WireClient(address) as wire:
                reply = wire.ask(request(signer))
                assert isinstance(reply, ErrorReply)
                assert reply.code == Code.SIGNER_UNKNOWN
                assert isinstance(wire.ask(request(other)), CertificatesReply)
            server.stop()


def test_missing_token_or_library_is_waited_for(hsm: SoftHsm, tmp_path: Path) -> None:
    signer = make_hsm_signer(tmp_path / "a", hsm, "line 1")
    hsm.unplug()
    with pytest.raises(TransportError, match="line 1"):
        HsmSigner.open(signer.path)
    place = signer.path / "pkcs11.toml"
    place.write_text('library = "/no/such/library.so"\ntoken = "line 1"\nkey = "device ca"\n')
    with pytest.raises(TransportError, match="library"):
        HsmSigner.open(signer.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "library = 1",
        'library = "x"\ntoken = "y"',
        'library = "x"\ntoken = "y"\nkey = ""',
        'library = "x"\ntoken = "y"\nkey = "z"\npin = "1234"',
        "no toml",
    ],
)
def test_bad_pkcs11_file_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pkcs11.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"pkcs11\.toml") as caught:
        KeyPlace.read(path)
    assert caught.value.code == Code.FILE_INVALID


@given(text=st.text(max_size=100))
def test_garbage_is_not_a_pkcs11_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(UsageError):
        KeyPlace.read(path)


def test_a_wrong_pin_is_tried_once_at_a_token_however_many_signers_are_in_it(hsm: SoftHsm, tmp_path: Path) -> None:
    first = make_hsm_signer(tmp_path / "a", hsm, "line 1", "first", 1)
    second = make_hsm_signer(tmp_path / "b", hsm, "line 1", "second", 2)
    pins = tmp_path / "pins"
    secret_file(pins, b"%s=99999999\n" % first.name.encode())
    options = ("--signer", first.path, "--signer", second.path, "--data", tmp_path / "data", "--password-file", pins)
    with server_program(*options) as server:
        assert server.finish() == 2
    warnings = [line.partition("] ")[2] for line in server.lines if ", warning]" in line]
    came_first, came_second = sorted((first, second), key=lambda signer: not warnings[0].startswith(name(signer)))
    refused, again = warnings
    assert refused == f"{name(came_first)} refused the given password. It is not tried again."
    assert again.startswith(f"{name(came_second)} does not get the given password again: ")
    assert any(f"{name(came_second)} requires password." in line for line in server.lines)
    assert "9999" not in str(server.lines) + server.errors
