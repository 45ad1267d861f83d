"""A signer whose key is made in an HSM: SoftHSM is the HSM, OpenSSL judges the certificate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atcaprov import UsageError
from signer_module.on_files.pkcs11_file import KeyPlace
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.external_cas import ExternalCas, openssl
from tests.support.secret_files import secret_file
from tests.support.signer_modules import CHEAPEST
from tests.support.soft_hsm import LIBRARY, PIN, make_soft_hsm

pytestmark = pytest.mark.slow

HSM = ("--pkcs11-library", str(LIBRARY), "--pkcs11-token", "line 1", "--pkcs11-key")
PLACE = KeyPlace(str(LIBRARY), "line 1", "device ca")


CUT = """
import os, sys
from signer_module import cli
from signer_module.hsm import key as hsm_key
from signer_module.hsm import signer as hsm_signer
from signer_module.on_files.signer_register import SignerRegister
def cut(*_, **__):
    os._exit(9)
enter = SignerRegister.enter
def enter_and_cut(*given):
    enter(*given)
    cut()
{patch}
sys.exit(cli.main({arguments!r}))
"""
CUTS = {
    "before the register": "hsm_signer.create_signer = cut",
    "after the register": "SignerRegister.enter = enter_and_cut",
    "after the folder": "hsm_key.HsmKey.settle = cut",
}
KEYS = f"""
import pkcs11
session = pkcs11.lib({str(LIBRARY)!r}).get_token(token_label="line 1").open(user_pin={PIN.decode()!r})
print([len(list(session.get_objects({{pkcs11.Attribute.CLASS: kind}}))) for kind in
       (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY)])
"""
ATTRIBUTES = f"""
import pkcs11
from tests.support.secret_files import secret_file
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
    secret_file("pin", PIN)
    secret_file("wrong", "11111111")
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


def test_refused_hsm_signer_leaves_no_key(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize("when", CUTS)
def test_interrupted_run_is_resumed_by_the_same_command(
    here: Path, when: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = ("--password-file", "pin")
    arguments = ["signer", "create", "--root", "root", "--out", "signer", *HSM, "device ca", *pin]
    assert program("-c", CUT.format(patch=CUTS[when], arguments=arguments)).returncode == 9
    assert Path("signer").exists() == (when == "after the folder")
    assert create("--signer-id", "0002") == (0 if when in ("before the register", "after the folder") else 2)
    assert when != "after the register" or create() == 0, capsys.readouterr().err
    assert program("-c", KEYS).stdout == "[1, 1]\n"
    assert len(Path("root/signers.tsv").read_text().splitlines()) == 2
    assert run("verify", "signer", *pin) == 0
    assert create() == 2
    assert create(out="again") == 2
    assert "that this command did not make" in capsys.readouterr().err


def test_signer_is_finished_though_its_root_has_no_quota_left(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = "emulator:root.chip"
    made = ("--quota", "1", "--no-password", "--scrypt-cost", str(CHEAPEST), "--yes")
    assert run("root", "create", "--device", chip, "--out", "root module", *made) == 0
    pin, from_root = ("--password-file", "pin"), ("--root", "root module", "--root-device", chip)
    arguments = ["signer", "create", *from_root, "--out", "signer", *HSM, "device ca", *pin]
    assert program("-c", CUT.format(patch=CUTS["after the folder"], arguments=arguments)).returncode == 9
    assert run(*arguments) == 0, capsys.readouterr().err
    assert "Signer created in signer" in capsys.readouterr().out
    other = ("signer", "create", *from_root, "--out", "other", *HSM, "other", *pin)
    assert run(*other) == 2
    assert "The root module's quota is used up" in capsys.readouterr().err
    assert program("-c", KEYS).stdout == "[1, 1]\n"
    assert run("verify", "signer", *pin) == 0


def bring(*more: str, out: str = "signer") -> int:
    given = ("--certificate", "signer.crt", "--password-file", "pin", "--out", out)
    return run("signer", "import", *given, *HSM, "device ca", *more)


def ask(*more: str, out: str = "signer.csr") -> int:
    pin = ("--password-file", "pin")
    return run("signer", "request", "--signer-id", "0A0B", "--out", out, *HSM, "device ca", *pin, *more)


def test_an_outside_ca_certifies_a_key_in_the_hsm(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cas = ExternalCas(here / "cas")
    cas.add("root", "p384")
    cas.add("issuing", "p256", "root")
    assert ask(out="nodir/signer.csr") == 2
    assert ask("--no-password") == 2
    assert ask("--quota", "5") == 2
    assert ask("--new-key") == 2
    assert ask("--device", "emulator:chip") == 2
    assert program("-c", KEYS).stdout == "[0, 0]\n"
    assert ask() == 0
    assert ask() == 0  # the same key
    assert ask(out="second.csr") == 0
    assert program("-c", KEYS).stdout == "[1, 1]\n"
    assert openssl("req", "-in", "signer.csr", "-noout", "-verify").returncode == 0
    assert create() == 2  # the label is that of a request
    cas.certify("issuing", Path("signer.csr"), Path("signer.crt"))
    chain = ("--chain", str(cas.pem("root")), "--chain", str(cas.pem("issuing")))
    assert bring() == 7
    assert bring(*chain, out="pin/signer") == 2
    assert bring(*chain) == 0, capsys.readouterr().err
    assert SignerFolder.load(Path("signer")).signer_id == b"\x0a\x0b"
    assert run("verify", "signer", "--password-file", "pin") == 0
    assert bring(*chain) == 2
    assert ask() == 2  # the key is in use
    assert run("export", "--signer", "signer", "--out", "export") == 0
    trusted = ("-CAfile", str(cas.pem("root")), "-untrusted", "export/chain.pem")
    assert openssl("verify", "-x509_strict", *trusted, "export/signer.pem").returncode == 0


def test_a_certificate_for_another_key_makes_no_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cas = ExternalCas(here / "cas")
    cas.add("root", "p256")
    assert ask() == 0
    cas.certify("root", Path("signer.csr"), Path("signer.crt"))
    assert (
        run("signer", "request", "--signer-id", "0A0B", "--out", "signer.csr", *HSM, "x", "--password-file", "pin") == 2
    )
    assert "for another key" in capsys.readouterr().err
    assert create(out="other", label="other") == 0
    given = (
        "--certificate",
        "signer.crt",
        "--chain",
        str(cas.pem("root")),
        "--password-file",
        "pin",
        "--out",
        "signer",
    )
    assert run("signer", "import", *given, *HSM, "other") == 7
    assert not Path("signer").exists()


@pytest.mark.parametrize("text", ["line 1", 'quote " and \\', "tab\tand \x7f", "Straße"])
def test_any_label_comes_back(tmp_path: Path, text: str) -> None:
    place = KeyPlace("/lib.so", text, text)
    (tmp_path / "pkcs11.toml").write_bytes(place.to_toml())
    assert KeyPlace.read(tmp_path / "pkcs11.toml") == place


@pytest.mark.parametrize("names", [("lib\udcff.so", "t", "k"), ("lib.so", "t\udcff", "k"), ("lib.so", "t", "k\udcff")])
def test_labels_that_are_not_utf8_are_refused(names: tuple[str, str, str]) -> None:
    """Bytes on the command line that are not UTF-8 reach Python as surrogates."""
    library, token, key = names
    with pytest.raises(UsageError, match="not UTF-8"):
        KeyPlace.named(Path(library), token, key)
