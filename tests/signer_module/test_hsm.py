"""A signer whose key is made in an HSM: SoftHSM is the HSM, OpenSSL judges the certificate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from signer_module.hsm_place import KeyPlace
from signer_module.signer_folder import SignerFolder
from tests.support.outside_cas import openssl
from tests.support.soft_hsm import LIBRARY, PIN, make_soft_hsm

HSM = ("--pkcs11-library", str(LIBRARY), "--pkcs11-token", "line 1", "--pkcs11-key")
PLACE = KeyPlace(str(LIBRARY), "line 1", "device ca")


ATTRIBUTES = f"""
import pkcs11
session = pkcs11.lib({str(LIBRARY)!r}).get_token(token_label="line 1").open(user_pin={PIN.decode()!r})
key = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label="device ca")
names = "SENSITIVE ALWAYS_SENSITIVE LOCAL NEVER_EXTRACTABLE PRIVATE EXTRACTABLE".split()
print([key[pkcs11.Attribute[name]] for name in names])
try:
    key[pkcs11.Attribute.VALUE]
except pkcs11.AttributeSensitive:
    print("never given out")
"""


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, since SoftHSM reads where its tokens are once in a process."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60)


def run(*arguments: str) -> int:
    done = program("-m", "signer_module.cli", *arguments)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def create(*more: str, out: str = "signer", label: str = "device ca") -> int:
    pin = ("--password-file", "pin")
    return run("signer", "create", "--root", "root", "--out", out, *HSM, label, *pin, *more)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_soft_hsm(tmp_path / "hsm", monkeypatch).make_token("line 1")
    monkeypatch.chdir(tmp_path)
    Path("pin").write_bytes(PIN)
    Path("wrong").write_text("11111111")
    assert run("root", "create", "--out", "root", "--no-password") == 0
    return tmp_path


def test_the_key_is_made_in_the_hsm_and_never_leaves_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create() == 0
    assert SignerFolder.load(Path("signer")).key_in_hsm
    assert KeyPlace.read(Path("signer/pkcs11.toml")) == PLACE
    assert not Path("signer/key.pem").exists()
    assert openssl("verify", "-x509_strict", "-CAfile", "root/root.pem", "signer/signer.pem").returncode == 0
    said = program("-c", ATTRIBUTES).stdout
    assert said == "[True, True, True, True, True, False]\nnever given out\n"
    assert run("verify", "signer", "--password-file", "pin") == 0
    assert run("verify", "signer", "--password-file", "wrong") == 2
    assert run("verify", "signer", "--public-only") == 0
    capsys.readouterr()
    assert run("info", "signer") == 0
    assert "key: in an HSM" in capsys.readouterr().out
    assert run("password", "check", "signer", "--password-file", "pin") == 2
    assert run("export", "--signer", "signer", "--out", "export") == 0


def test_what_is_wrong_is_said_and_leaves_no_key(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(out="first", label="first") == 0
    assert create(label="first") == 2
    assert "Choose another label" in capsys.readouterr().err
    assert create("--signer-id", "0001") == 2
    assert create("--no-password") == 2
    assert create("--quota", "5") == 2
    bare = ("signer", "create", "--root", "root", "--out", "signer")
    assert run(*bare, *HSM, "device ca", "--password-file", "wrong") == 2
    assert run(*bare, "--pkcs11-key", "device ca") == 2
    other = ("--pkcs11-library", str(LIBRARY), "--pkcs11-token", "line 2", "--pkcs11-key", "x")
    assert run(*bare, *other, "--password-file", "pin") == 3
    assert not Path("signer").exists()
    assert create() == 0


@pytest.mark.parametrize("text", ["line 1", 'quote " and \\', "tab\tand \x7f", "Straße"])
def test_any_label_comes_back(tmp_path: Path, text: str) -> None:
    place = KeyPlace("/lib.so", text, text)
    (tmp_path / "pkcs11.toml").write_bytes(place.to_toml())
    assert KeyPlace.read(tmp_path / "pkcs11.toml") == place
