from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from atcaprov import AtcaProvError, CertificateError, Code, UsageError
from signer_module.on_files import folder_files
from signer_module.on_files.root_folder import RootFolder
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.certificates import DEVICE
from tests.support.signer_folders import make_with_program as make
from tests.support.system_programs import require_program


def test_the_key_file_of_openssl_in_the_signers_folder(here: Path) -> None:
    openssl = require_program("openssl")
    made = [openssl, "ecparam", "-genkey", "-name", "prime256v1", "-out", "own.pem"]
    subprocess.run(made, cwd=here, check=True, capture_output=True)
    assert make("--key", "own.pem") == 0
    (here / "signer" / "key.pem").write_bytes((here / "own.pem").read_bytes())
    found = SignerFolder.load(here / "signer")
    assert found.unlock(None).public_key == found.public_key


def test_key_of_another_certificate_is_refused(here: Path) -> None:
    assert make() == 0
    key = DEVICE.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (here / "signer" / "key.pem").write_bytes(key)
    with pytest.raises(CertificateError) as caught:
        SignerFolder.load(here / "signer").unlock(None)
    assert caught.value.code == Code.KEY_MISMATCH


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


def test_damaged_folders_are_refused(here: Path) -> None:
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


def test_mixed_certificates_of_two_signers_are_refused(here: Path) -> None:
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

    monkeypatch.setattr(folder_files, "write_all", full)
    assert make(out="b") == 2
    assert sorted(path.name for path in here.iterdir()) == ["a", "root"]
    assert list(RootFolder.load(here / "root").register.issued()) == ["0001"]
