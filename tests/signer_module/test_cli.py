from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atcaprov import CertInfo
from atcaprov.certs.descriptions.description import default_text
from atcaprov.certs.keys import verify_digest
from atcaprov.product_profile.preset import preset
from atcaprov.product_profile.profile_file import read_profile
from signer_module.on_files.root_folder import RootFolder
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.certificates import SIGNER
from tests.support.programs import run_signer_module as run
from tests.support.signer_folders import make_with_program as make


def test_a_root_and_a_signer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--signer-id", "0034") == 0
    assert "signer id 0034" in capsys.readouterr().out
    found = SignerFolder.load(here / "signer")
    assert (found.name, found.signer_id) == ("Example ATECC608A Signer", bytes.fromhex("0034"))
    assert len(found.serial) == 9
    assert not found.key_is_encrypted
    key = found.unlock(None)
    assert key.public_key == found.public_key
    assert verify_digest(found.public_key, bytes(32), key.sign(bytes(32)))
    info = CertInfo.parse((here / "signer" / "atcaprov_cert_info_0.c").read_text())
    assert info == found.cert_info()
    assert info.root_public_key == RootFolder.load(here / "root").public_key


def test_files_of_keys_are_private(here: Path) -> None:
    assert make() == 0
    for folder in ("root", "signer"):
        assert stat.S_IMODE((here / folder).stat().st_mode) == 0o700
        assert stat.S_IMODE((here / folder / "key.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in here.iterdir()) == ["root", "signer"]
    names = sorted(path.name for path in (here / "signer").iterdir())
    assert names == ["atcaprov_cert_info_0.c", "key.pem", "root.pem", "signer.json", "signer.pem"]


def test_nothing_is_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make() == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert run("root", "create", "--out", "root", "--no-password") == 2
    assert make() == 2
    assert capsys.readouterr().err.count("exists already; nothing was changed") == 2
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_signer_ids_are_given_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--signer-id", "0002", out="a") == 0
    assert make(out="b") == 0
    assert make(out="c") == 0
    ids = [SignerFolder.load(here / name).signer_id.hex() for name in "abc"]
    assert ids == ["0002", "0001", "0003"]
    assert make("--signer-id", "0002", out="d") == 2
    assert "already in use" in capsys.readouterr().err
    assert not (here / "d").exists()
    assert list(RootFolder.load(here / "root").register.issued()) == ["0002", "0001", "0003"]


@pytest.mark.parametrize("text", ["34", "00034", "00g4", "", "٠٠٣٤"])
def test_bad_signer_ids_are_refused(here: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--signer-id", text) == 2
    assert "not a signer id" in capsys.readouterr().err


def test_a_given_key(here: Path) -> None:
    sec1 = SIGNER.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (here / "own.pem").write_bytes(
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + sec1
    )
    assert make("--key", "own.pem") == 0
    assert SignerFolder.load(here / "signer").public_key == SIGNER.public


def test_own_descriptions(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("description", "device") == 0
    text = capsys.readouterr().out
    assert text == default_text("device")
    (here / "device.toml").write_text(text.replace("expire_years = 0", "expire_years = 25"))
    (here / "signer.toml").write_text(default_text("signer").replace("Example ATECC608A", "Mein"), encoding="utf-8")
    (here / "root.toml").write_text(default_text("root").replace("expire_years = 0", "expire_years = 40"))
    assert run("root", "create", "--out", "root", "--no-password", "--description", "root.toml") == 0
    assert make("--device-description", "device.toml", "--signer-description", "signer.toml") == 0
    found = SignerFolder.load(here / "signer")
    assert found.name == "Mein Signer"
    assert found.device_definition.expire_years == 25


def test_product_profile_takes_the_place_of_a_device_description(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("root", "create", "--out", "root", "--no-password") == 0
    (here / "product.toml").write_text(preset("idevid").text)
    assert make("--device-description", "product.toml") == 0
    found = SignerFolder.load(here / "signer").device_definition
    wanted = read_profile(here / "product.toml").certificate
    assert (found.name, found.template_id, found.expire_years) == (wanted.name, wanted.template_id, 0)
    assert run("description", "device", "--check", "product.toml") == 0
    capsys.readouterr()
    (here / "product.toml").write_text(preset("idevid").text.replace("chain_id = 0", "chain_id = 16"))
    assert make("--device-description", "product.toml") == 2
    assert "product.toml, line 12: certificate.chain_id must be a whole number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (default_text("device").replace("expire_years = 0", "expire_years = 40"), "own.toml: .*expire_years"),
        (default_text("signer"), "own.toml describes a signer, not a device"),
        ("role", "own.toml: .*TOML"),
        ("\xff", "not text in UTF-8"),
    ],
    ids=range(4),
)
def test_bad_descriptions(here: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "own.toml").write_bytes(text.encode("latin-1"))
    assert make("--device-description", "own.toml") == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (here / "signer").exists()


def test_info(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--signer-id", "ab12") == 0
    capsys.readouterr()
    assert run("info", "signer") == 0
    text = capsys.readouterr().out
    for part in ("signer id: AB12", "key: not encrypted", "11 signer public key", "issued until end of: 2031"):
        assert part in text
    assert run("info", "root", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["signer ids given"]) == ("root", "AB12")
    assert run("info", ".") == 2


def test_export(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make() == 0
    assert run("export", "--signer", "signer", "--out", "export", "--index", "7") == 0
    assert "atcaprov_cert_info_7.c" in capsys.readouterr().out
    names = sorted(path.name for path in (here / "export").iterdir())
    assert names == [
        "atcaprov_cert_info_7.c",
        "cert_def_1_signer.c",
        "cert_def_1_signer.h",
        "cert_def_2_device.c",
        "cert_def_2_device.h",
        "device_definition.json",
        "root.pem",
        "signer.pem",
        "signer_definition.json",
    ]
    assert not any(b"PRIVATE" in path.read_bytes() for path in (here / "export").iterdir())
    assert run("export", "--signer", "signer", "--out", "export") == 2


@pytest.mark.parametrize("number", ["-1", "99999999999999999999"])
def test_password_from_invalid_file_descriptor_is_refused(here: Path, number: str) -> None:
    assert run("root", "create", "--out", "root", "--password-fd", number) == 2
    assert not (here / "root").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "theirs/root"),
        ("verify", "theirs/root"),
        ("root", "create", "--device", "emulator:chip", "--out", "theirs/root", "--no-password", "--yes"),
        ("root", "create", "--device", "emulator:theirs/chip", "--out", "root", "--no-password", "--yes"),
        ("signer", "request", "--device", "emulator:chip", "--signer-id", "0034", "--out", "theirs/x.csr", "--yes"),
    ],
    ids=" ".join,
)
def test_unsearchable_folder_is_reported(
    here: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every look into it fails; for the superuser it would not, so the system's answer is simulated."""
    for place, name in ((Path, "stat"), (Path, "lstat"), (Path, "open"), (os, "stat"), (os, "lstat")):
        monkeypatch.setattr(place, name, refusing(getattr(place, name)))
    assert run(*arguments) == 2
    assert "Permission denied" in capsys.readouterr().err


def refusing(look: Callable[..., Any]) -> Callable[..., Any]:
    def refused(path: Any, *given: Any, **named: Any) -> Any:
        if "theirs" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, *given, **named)

    return refused


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create") == 2
    assert "--out" in capsys.readouterr().err
    assert run("--help") == 0
    assert run("nonsense") == 2
    assert run("root", "create", "--out", "x", "--password", "secret") == 2
