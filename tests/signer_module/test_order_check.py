"""A command for a module that is finished already: it says what the chip does, or refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atcaprov.certs.descriptions.description import default_text
from signer_module.on_chip.module import open_module
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, ROOT, SIGNER, locks, working_folder

FROM_ROOT = ("signer", "create", "--root", "root", "--device", SIGNER, *CHEAP)
FIRST = ("--signer-id", "0034", "--quota", "5", "--password-file", "password")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return working_folder(tmp_path, monkeypatch)


def described(role: str, old: str, new: str) -> str:
    text = default_text("root" if role == "root" else "signer" if role == "signer" else "device")
    assert old in text
    Path(f"{role}.toml").write_text(text.replace(old, new))
    return f"{role}.toml"


def root_module(*more: str, device: str = ROOT) -> int:
    return run("root", "create", "--device", device, *CHEAP, *more)


@pytest.mark.slow
def test_a_signer_is_the_one_that_is_ordered(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--out", "root", "--no-password") == 0
    assert run(*FROM_ROOT, *FIRST) == 0
    assert "created" in capsys.readouterr().out
    assert run(*FROM_ROOT, *FIRST) == 0
    assert run(*FROM_ROOT, *FIRST[2:]) == 0  # whichever id it has
    out = capsys.readouterr().out
    assert out.count("is finished already: Example ATECC608A Signer, signer id 0034, 5 signatures.") == 2
    data = json.loads(Path("signer.chip").read_bytes())["data"]
    names = described("device", "Example ATECC608A Device", "Example ATECC608A Gadget")
    for options, why in (
        (("--signer-id", "0099", *FIRST[2:]), "its signer id is 0034, not 0099"),
        (("--quota", "1000", *FIRST[4:]), "5 of its signatures are left, not 1000"),
        (("--quota", "4", *FIRST[4:]), "5 of its signatures are left, not 4"),
        (FIRST[4:], "not with password and without quota"),
        (("--quota", "5", "--no-password"), "not without password and with quota"),
        (("--quota", "5", "--password-later"), ""),
        ((*FIRST, "--device-description", names), "its device certificates have another description"),
        (("--quota", "5", "--password-file", "new"), "The password is wrong"),
    ):
        assert run(*FROM_ROOT, *options) != 0
        said = capsys.readouterr()
        assert why in said.err
        assert said.out == ""
    assert run(*FROM_ROOT, "--signer-id", "0099", *FIRST[2:]) != 0
    assert "'signer-module info --device' shows what it is." in " ".join(capsys.readouterr().err.split())
    assert run("info", "--device", SIGNER) == 0
    assert "signer id: 0034" in " ".join(capsys.readouterr().out.split())
    assert json.loads(Path("signer.chip").read_bytes())["data"] == data


@pytest.mark.slow
def test_a_first_password_that_is_not_set_is_not_claimed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--out", "root", "--no-password") == 0
    assert run(*FROM_ROOT, "--password-later") == 0
    assert run(*FROM_ROOT, "--password-file", "password") == 6
    assert "its first password is not set already" in capsys.readouterr().err


@pytest.mark.slow
def test_a_root_is_the_one_that_is_ordered(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = ("--out", "root", "--quota", "3", "--password-file", "password")
    assert root_module(*first) == 0
    assert root_module(*first) == 0
    assert "is finished already: Example ATECC608A Root CA, 3 signatures." in capsys.readouterr().out
    assert root_module("--out", "root", "--quota", "300", *first[4:]) == 6
    assert "3 of its signatures are left, not 300" in capsys.readouterr().err
    other = described("root", "Example ATECC608A Root CA", "Example ATECC608A Other CA")
    assert root_module(*first, "--description", other) == 6
    assert "its certificate differs from the description" in capsys.readouterr().err
    shorter = described("root", "expire_years = 0", "expire_years = 20")
    assert root_module(*first, "--description", shorter) == 6


def signed_once() -> None:
    from_root = ("--root", "root", "--root-device", ROOT, "--root-password-file", "password")
    assert run("signer", "create", *from_root, "--device", SIGNER, "--no-password", *CHEAP) == 0


@pytest.mark.slow
@pytest.mark.parametrize("quota", [("--quota", "3"), ()], ids=["quota", "no-quota"])
def test_register_is_not_started_again(here: Path, quota: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    order = (*quota, "--password-file", "password")
    assert root_module("--out", "root", *order) == 0
    signed_once()
    register = Path("root/signers.tsv").read_bytes()
    assert root_module("--out", "root", *order) == 0  # its own folder
    assert Path("root/signers.tsv").read_bytes() == register
    capsys.readouterr()
    assert root_module("--out", "root2", *order) == 6
    assert "add --register-lost" in capsys.readouterr().err
    assert not Path("root2").exists()
    capsys.readouterr()
    assert root_module("--out", "root2", *order, "--register-lost") == 0
    assert "give every new signer an unused id with --signer-id" in capsys.readouterr().err
    from_root = ("--root", "root2", "--root-device", ROOT, "--root-password-file", "password")
    assert run("signer", "create", *from_root, "--signer-id", "0099", "--out", "signer", "--no-password") == 0
    assert root_module("--out", "root", *order, device="emulator:other.chip") == 2
    assert "the folder of another root" in capsys.readouterr().err


@pytest.mark.slow
def test_root_finished_without_its_folder_gets_one(here: Path) -> None:
    """The run was cut after the last lock: the counter shows that the root has signed nothing."""
    order = ("--quota", "3", "--password-file", "password")
    assert root_module("--out", "root", *order) == 0
    Path("root").rename("cut")
    assert root_module("--out", "root", *order) == 0
    assert Path("root/root.pem").read_bytes() == Path("cut/root.pem").read_bytes()
    with open_module(ROOT) as module:
        assert module.remaining == 3


@pytest.mark.slow
def test_a_signer_is_finished_though_its_root_signs_no_more(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert root_module("--out", "root", "--quota", "1", "--password-file", "password") == 0
    signed_once()
    signed_once()
    assert "is finished already" in capsys.readouterr().out
    from_root = ("--root", "root", "--root-device", ROOT, "--root-password-file", "password", "--no-password")
    for place in (("--device", "emulator:other.chip", *CHEAP), ("--out", "signer")):
        assert run("signer", "create", *from_root, *place) == 2
        assert "The root module's quota is used up" in capsys.readouterr().err
    assert locks("emulator:other.chip") == (False, False)
