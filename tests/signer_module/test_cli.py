from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.description import default_text
from atcaprov.certs.keys import verify_digest
from atcaprov.errors import AtcaProvError, CertificateError, Code, UsageError
from signer_module import cli, files
from signer_module.root import RootFolder
from signer_module.signer_folder import SignerFolder
from tests.support.certificates import DEVICE, SIGNER
from tests.support.programs import require_program


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def make(*more: object, out: str = "signer") -> int:
    if not Path("root").exists():
        assert run("root", "create", "--out", "root", "--no-password") == 0
    return run("signer", "create", "--root", "root", "--out", out, "--no-password", *more)


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


def test_keys_are_encrypted_unless_asked_otherwise(here: Path) -> None:
    (here / "password").write_text("first line\nsecond line\n")
    (here / "other").write_bytes(b"another\r\n")
    assert run("root", "create", "--out", "root", "--password-file", "password") == 0
    secret = "--root-password-file"
    create = ["signer", "create", "--root", "root", "--out", "signer", "--password-file", "other"]
    assert run(*create, secret, "other") == 2
    assert not (here / "signer").exists()
    assert run(*create, secret, "password") == 0
    found = SignerFolder.load(here / "signer")
    assert found.key_is_encrypted
    assert (here / "signer" / "key.pem").read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert found.unlock(b"another").public_key == found.public_key
    for wrong in (b"Another", None):
        with pytest.raises(UsageError) as caught:
            found.unlock(wrong)
        assert caught.value.code == Code.PASSWORD_WRONG


def test_password_from_a_file_descriptor(here: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"secret\n")
    os.close(write_end)
    assert run("root", "create", "--out", "root", "--password-fd", read_end) == 0
    os.close(read_end)
    assert RootFolder.load(here / "root").unlock(b"secret")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--password-file", "missing"], "missing cannot be read"),
        (["--password-file", "empty"], "first line of empty is empty"),
        (["--password-file", "long"], "longer than 1024"),
        (["--password-fd", "99"], "File descriptor 99 cannot be read"),
        (["--password-file", "empty", "--no-password"], "Only one of"),
        ([], "no terminal"),
    ],
    ids=range(6),
)
def test_passwords_that_are_refused(
    here: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (here / "empty").write_text("\nsecond")
    (here / "long").write_text("x" * 2000)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run("root", "create", "--out", "root", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (here / "root").exists()


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.controller, terminal = pty.openpty()
        command = [sys.executable, "-m", "signer_module.cli", *arguments]
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
        os.close(terminal)
        self.seen = b""

    def wait_for(self, text: bytes) -> None:
        while text not in self.seen:
            self.seen += os.read(self.controller, 1024)

    def type(self, text: bytes) -> None:
        os.write(self.controller, text)

    def end(self) -> int:
        try:
            while data := os.read(self.controller, 1024):
                self.seen += data
        except OSError:  # the other end is closed
            pass
        os.close(self.controller)
        return self.process.wait()


def test_password_on_the_terminal(here: Path) -> None:
    terminal = Terminal("root", "create", "--out", "root")
    terminal.wait_for(b"Password for the root key: ")
    terminal.type(b"from the terminal\n")
    terminal.wait_for(b"again: ")
    terminal.type(b"from the terminal\n")
    assert terminal.end() == 0
    assert b"from the terminal" not in terminal.seen
    assert RootFolder.load(here / "root").unlock(b"from the terminal")


def test_interrupted_at_the_prompt(here: Path) -> None:
    terminal = Terminal("root", "create", "--out", "root")
    terminal.wait_for(b"Password for the root key: ")
    terminal.process.send_signal(2)
    assert terminal.end() == 130
    assert list(here.iterdir()) == []


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
    assert "given before" in capsys.readouterr().err
    assert not (here / "d").exists()
    assert list(RootFolder.load(here / "root").issued()) == ["0002", "0001", "0003"]


@pytest.mark.parametrize("text", ["34", "00034", "00g4", "", "٠٠٣٤"])
def test_bad_signer_ids(here: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--signer-id", text) == 2
    assert "no signer id" in capsys.readouterr().err


def test_a_given_key(here: Path) -> None:
    sec1 = SIGNER.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (here / "own.pem").write_bytes(
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + sec1
    )
    assert make("--key", "own.pem") == 0
    assert SignerFolder.load(here / "signer").public_key == SIGNER.public


def test_the_key_file_of_openssl_in_the_signers_folder(here: Path) -> None:
    openssl = require_program("openssl")
    made = [openssl, "ecparam", "-genkey", "-name", "prime256v1", "-out", "own.pem"]
    subprocess.run(made, cwd=here, check=True, capture_output=True)
    assert make("--key", "own.pem") == 0
    (here / "signer" / "key.pem").write_bytes((here / "own.pem").read_bytes())
    found = SignerFolder.load(here / "signer")
    assert found.unlock(None).public_key == found.public_key


def test_another_key_beside_the_certificate(here: Path) -> None:
    assert make() == 0
    key = DEVICE.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (here / "signer" / "key.pem").write_bytes(key)
    with pytest.raises(CertificateError) as caught:
        SignerFolder.load(here / "signer").unlock(None)
    assert caught.value.code == Code.KEY_MISMATCH


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (default_text("device").replace("expire_years = 0", "expire_years = 40"), "own.toml: .*expire_years"),
        (default_text("signer"), "own.toml describes a signer, not a device"),
        ("role", "own.toml: .*TOML"),
        ("\xff", "no text in UTF-8"),
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


def damaged(contents: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "{"
    yield "[]"
    yield json.dumps({**contents, "format": "x"})
    yield json.dumps({**contents, "version": 2})
    yield json.dumps({**contents, "compressed_certificate": "zz"})
    yield json.dumps({**contents, "compressed_certificate": 5})
    yield json.dumps({**contents, "device_definition": contents["signer_definition"]})
    yield json.dumps({**contents, "device_definition": {}})
    yield json.dumps({key: value for key, value in contents.items() if key != "signer_definition"})


def test_damaged_folders(here: Path) -> None:
    assert make() == 0
    folder = here / "signer"
    original = {path: path.read_bytes() for path in folder.iterdir()}
    document = folder / "signer.json"
    for text in damaged(json.loads(original[document])):
        document.write_text(text)
        with pytest.raises(UsageError) as caught:
            SignerFolder.load(folder)
        assert caught.value.code == Code.FILE_INVALID
        assert "signer.json" in caught.value.what
    document.write_bytes(original[document])
    SignerFolder.load(folder)
    for path, data in original.items():
        if path.suffix == ".c":
            continue
        for broken in (b"", b"\xff\x00", data[: len(data) // 2]):
            path.write_bytes(broken)
            with pytest.raises(AtcaProvError):
                SignerFolder.load(folder)
        path.unlink()
        with pytest.raises(UsageError) as caught:
            SignerFolder.load(folder)
        assert caught.value.code == Code.FILE_UNREADABLE
        path.write_bytes(data)


def test_certificates_of_two_signers_mixed(here: Path) -> None:
    assert make(out="a") == 0
    assert make(out="b") == 0
    (here / "a" / "signer.pem").write_bytes((here / "b" / "signer.pem").read_bytes())
    with pytest.raises(CertificateError):
        SignerFolder.load(here / "a")
    document = json.loads((here / "b" / "signer.json").read_text())
    document["compressed_certificate"] = json.loads((here / "a" / "signer.json").read_text())["compressed_certificate"]
    document["compressed_certificate"] = document["compressed_certificate"][:134] + "0002" + "10a000"
    (here / "b" / "signer.json").write_text(json.dumps(document))
    with pytest.raises(CertificateError, match=r"serial number|signature") as caught:
        SignerFolder.load(here / "b")
    assert caught.value.code == Code.CERTIFICATE_MISMATCH


def test_a_damaged_register_gives_no_ids(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make() == 0
    (here / "root" / "signers.tsv").write_text("0034\n")
    assert make(out="b") == 2
    assert "signers.tsv is damaged" in capsys.readouterr().err


def test_a_failed_write_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make(out="a") == 0

    def full(*_: object, **__: object) -> None:
        raise UsageError("disk full", code=Code.FILE_UNWRITABLE)

    monkeypatch.setattr(files, "write_all", full)
    assert make(out="b") == 2
    assert sorted(path.name for path in here.iterdir()) == ["a", "root"]
    assert list(RootFolder.load(here / "root").issued()) == ["0001"]


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


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create") == 2
    assert "--out" in capsys.readouterr().err
    assert run("--help") == 0
    assert run("nonsense") == 2
    assert run("root", "create", "--out", "x", "--password", "secret") == 2
