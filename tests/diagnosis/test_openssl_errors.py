"""What the page says of OpenSSL's errors is what OpenSSL does."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import Device, Profile, Provisioner
from tests.diagnosis.test_documentation import section
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.system_programs import require_program

ROW = re.compile(r"^\| `(openssl [^`]*)` \| error (\d+)[^|]*\| [^|]* \| `(openssl [^`]*)` \|", re.MULTILINE)
ROWS = ROW.findall(section("When OpenSSL refuses a chain that is right"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, authority = tmp_path_factory.mktemp("chain"), MemoryCa()
    with Device.open("emulator:") as device:
        done = Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    ders = {
        "root": authority.root_certificate,
        "signer": done.signer_certificate,
        "device": done.device_certificate,
    }
    pems = {name: x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for name, der in ders.items()}
    for name, pem in (*pems.items(), ("chain", pems["device"] + pems["signer"])):
        (folder / f"{name}.pem").write_bytes(pem)
    return folder


def openssl(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [require_program("openssl"), *shlex.split(command)[1:]]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_the_table_has_its_rows() -> None:
    assert [error for _, error, _ in ROWS] == ["20", "2", "20"]


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "error", "cure"), ROWS)
def test_error_and_cure_are_those_of_the_page(typed: str, error: str, cure: str, certificates: Path) -> None:
    refused = openssl(typed, certificates)
    assert refused.returncode == 2
    assert f"error {error} at" in refused.stdout + refused.stderr
    assert openssl(cure, certificates).returncode == 0
