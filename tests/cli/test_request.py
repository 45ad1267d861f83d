"""Certificate requests of device chips; OpenSSL and `cryptography` judge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov import Act, Device
from atcaprov.certs.descriptions.description import default_text
from atcaprov.certs.keys import load_public_key
from atcaprov.chip.crc import crc16
from atcaprov.cli.main import atcaprov
from tests.support.programs import run_in_process
from tests.support.system_programs import require_program

CHIP = "emulator:chip.json"


@pytest.fixture
def public_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A chip in the current folder whose configuration is locked and whose slot 0 has a key."""
    monkeypatch.chdir(tmp_path)
    with Device.open(CHIP) as device, device.permit(Act.LOCK_CONFIG, Act.CREATE_KEY):
        device.lock_config(crc16(device.read_config()))
        return device.gen_key(0)


def test_openssl_accepts_the_request(public_key: bytes) -> None:
    ended = run_in_process(atcaprov, "request", "--device", CHIP, "--out", "device.csr")
    assert (ended.code, ended.out) == (0, "Request written to device.csr.\n"), ended.err
    request = x509.load_pem_x509_csr(Path("device.csr").read_bytes())
    assert request.is_signature_valid
    assert request.public_key() == load_public_key(public_key)
    with Device.open(CHIP) as device:
        assert request.subject.rfc4514_string().startswith(
            f"CN=Example ATECC608A Device {device.serial_number().hex().upper()}"
        )
    command = [require_program("openssl"), "req", "-in", "device.csr", "-noout", "-verify", "-text"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "TLS Web Client Authentication" in done.stdout


def test_the_request_asks_for_the_alternative_name_of_the_description(public_key: bytes) -> None:
    Path("device.toml").write_text(
        default_text("device").replace(
            "[slots]", '[subject_alt_name]\nuri = "urn:example:{chip_serial_lower}"\n[slots]'
        )
    )
    options = ("--description", "device.toml", "--out", "device.csr")
    assert run_in_process(atcaprov, "request", "--device", CHIP, *options).code == 0
    request = x509.load_pem_x509_csr(Path("device.csr").read_bytes())
    with Device.open(CHIP) as device:
        serial = device.serial_number().hex()
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(f"urn:example:{serial}")]


def test_wrong_options_and_slots_are_refused(public_key: bytes) -> None:
    Path("signer.toml").write_text(default_text("signer"))
    Path("latin").write_bytes(b"\xe9")
    Path("there").touch()
    for code, arguments in (
        (5, ("--slot", "1")),
        (5, ("--slot", "8")),
        (2, ("--slot", "16")),
        (2, ("--out", "there")),
        (2, ("--description", "signer.toml")),
        (2, ("--description", "latin")),
        (2, ("--description", "missing")),
        (2, ("--out", "no/such/folder")),
    ):
        ended = run_in_process(atcaprov, "request", "--device", CHIP, "--out", "device.csr", *arguments)
        assert ended.code == code, (arguments, ended.err)
        assert code == 2 or ended.err.endswith(f"or choose another slot than {arguments[1]} with --slot.\n")
    assert not Path("device.csr").exists()
    assert run_in_process(atcaprov, "request", "--device", CHIP, "--out", "device.csr", "--slot", "0").code == 0
