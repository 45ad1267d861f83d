"""OpenSSL and GnuTLS judge the certificates: strict checks, purpose, chain."""

from __future__ import annotations

import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov.certs.descriptions.description import CertificateDescription, default_description, default_text
from atcaprov.certs.issue import issue
from signer_module.on_files import folder_files
from signer_module.on_files import root_folder as root
from signer_module.on_files.create_signer import create_signer
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import RootFolder, create_root
from signer_module.on_files.signer_folder import SignerFolder
from signer_module.signer_description import SignerDescriptions
from tests.support.certificates import CHIP_SERIAL, DEVICE
from tests.support.random_units import random_unit
from tests.support.system_programs import require_program

FIRST_YEAR_OF_DATES = 2000
"""Of the compressed form; roots of a clock that is so far behind are refused."""
DESCRIPTIONS = {
    "default": {},
    "limited": {"expire_years = 0": "expire_years = 10"},
    "past 2049": {"expire_years = 0": "expire_years = 31"},
    "99 years": {"expire_years = 0": "expire_years = 99", "compressed_format = 0": "compressed_format = 1"},
    "other serial": {'"PUB_KEY_HASH"': '"PUB_KEY_HASH"\nserial_number_size = 20'},
    "other name": {"Example Organization": "Müller & Søn 電子", "[subject]": '[subject]\ncountry = "DE"'},
    "alternative name": {
        "[slots]\nprivate_key": "[subject_alt_name]\nuri = 'urn:example:{chip_serial}'\n"
        "dns_name = '{chip_serial_lower}.example.com'\ndirectory_name = { serial_number = '{chip_serial}' }\n"
        "hardware_module_type = '1.3.6.1.4.1.32473.1'\n[slots]\nprivate_key"
    },
}


def described(role: str, changes: dict[str, str]) -> CertificateDescription:
    text = default_text("root" if role == "root" else "signer" if role == "signer" else "device")
    for old, new in changes.items():
        text = text.replace(old, new)
    return CertificateDescription.from_toml(text)


def chain(folder: Path, changes: dict[str, str]) -> tuple[RootFolder, SignerFolder, bytes]:
    """Return a root, a signer and a device certificate (DER) of changed descriptions."""
    now = datetime.now(UTC)
    made_root = create_root(folder / "root", default_description("root"), None, now)
    signer = create_signer(
        folder / "signer",
        root=made_root,
        root_key=made_root.unlock(None),
        descriptions=SignerDescriptions(described("signer", changes), described("device", changes)),
        key=SoftwareKey.generate(),
        password=None,
        signer_id=None,
        now=now,
    )
    definition = signer.device_definition
    issued = issue(
        definition,
        subject_public_key=DEVICE.public,
        ca_public_key=signer.public_key,
        signer_id=signer.signer_id,
        issue_date=definition.issue_date(now),
        chip_serial=CHIP_SERIAL,
        sign=signer.unlock(None).sign,
    )
    return made_root, signer, issued.der


def openssl_verify(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    openssl = require_program("openssl")
    command = [openssl, "verify", "-x509_strict", "-purpose", "sslclient", *more]
    command += ["-CAfile", "root.pem", "-untrusted", "signer.pem", "device.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_openssl_and_gnutls_accept_the_chain(name: str, tmp_path: Path) -> None:
    certtool = require_program("certtool")
    made_root, signer, device = chain(tmp_path, DESCRIPTIONS[name])
    pems = [folder_files.pem_certificate(der) for der in (device, signer.certificate, made_root.certificate)]
    for part, pem in zip(("device", "signer", "root"), pems, strict=True):
        (tmp_path / f"{part}.pem").write_bytes(pem)
    done = openssl_verify(tmp_path)
    assert (done.returncode, done.stdout) == (0, "device.pem: OK\n"), done.stderr
    whole = subprocess.run([certtool, "--verify-chain"], input=b"".join(pems), capture_output=True, check=False)
    assert whole.returncode == 0, whole.stderr
    assert b"Chain verification output: Verified. The certificate is trusted." in whole.stdout


def test_openssl_refuses_another_root(tmp_path: Path) -> None:
    _, signer, device = chain(tmp_path, {})
    other = create_root(tmp_path / "other", default_description("root"), None, datetime.now(UTC))
    for part, der in (("device", device), ("signer", signer.certificate), ("root", other.certificate)):
        (tmp_path / f"{part}.pem").write_bytes(folder_files.pem_certificate(der))
    assert openssl_verify(tmp_path).returncode != 0


@pytest.mark.slow
def test_openssl_accepts_random_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atcaprov.certs.dates.EARLIEST_CLOCK_YEAR", FIRST_YEAR_OF_DATES)
    source = random.Random(99)
    for _ in range(30):
        unit = random_unit(source)
        begin = x509.load_der_x509_certificate(unit.device.der).not_valid_before_utc
        key = SoftwareKey(unit.root_key.private)
        certificates = {
            "root": root.self_signed(default_description("root"), key, begin),
            "signer": unit.signer.der,
            "device": unit.device.der,
        }
        for part, der in certificates.items():
            (tmp_path / f"{part}.pem").write_bytes(folder_files.pem_certificate(der))
        at = int((begin + timedelta(minutes=1)).timestamp())
        done = openssl_verify(tmp_path, "-attime", str(at))
        assert (done.returncode, done.stdout) == (0, "device.pem: OK\n"), done.stderr
