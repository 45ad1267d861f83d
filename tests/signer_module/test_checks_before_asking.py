"""What reading tells of a chip is told before a plan is shown, and before passwords or a last word are asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from atcaprov import Act, Device
from atcaprov.chip.crc import crc16
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.zones.config_zone import write_config
from tests.support.external_cas import ExternalCas
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, ROOT, working_folder

pytestmark = pytest.mark.slow

OTHER = "emulator:other.chip"
COMMANDS = {
    "root create": ("root", "create", "--out", "new root", "--device", OTHER),
    "signer create": ("signer", "create", "--root", "root", "--root-device", ROOT, "--device", OTHER),
    "signer request": ("signer", "request", "--out", "x.csr", "--signer-id", "0034", "--device", OTHER),
    "signer import": ("signer", "import", "--certificate", "signer.pem", "--chain", "ca.pem", "--device", OTHER),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root module with a password, a CA and what it has certified, on a terminal where the program must not ask."""
    working_folder(tmp_path, monkeypatch)
    assert run("root", "create", "--device", ROOT, "--out", "root", "--password-file", "password", *CHEAP) == 0
    cas = ExternalCas(tmp_path / "cas")
    cas.add("root", "p256")
    cas.pem("root").rename("ca.pem")
    from_chip = ("--device", "emulator:first.chip", "--no-password", *CHEAP)
    assert run("signer", "request", "--out", "first.csr", "--signer-id", "0034", *from_chip) == 0
    Path("ca.pem").rename(cas.pem("root"))
    cas.certify("root", Path("first.csr"), Path("signer.pem"))
    cas.pem("root").rename("ca.pem")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", asked)
    return tmp_path


def asked(text: str, **_: Any) -> str:
    raise AssertionError(f"asked: {text}")


def configured_for_a_product() -> None:
    with Device.open(OTHER) as device, device.permit(*Act):
        device.lock_config(crc16(write_config(device, device.read_config(), DEFAULT_608A)))


def an_older_part() -> None:
    configured_for_a_product()
    chip = Path("other.chip")
    chip.write_text(json.dumps(json.loads(chip.read_text()) | {"revision": "00005000"}))


def a_trust_part() -> None:
    Device.open(f"{OTHER}?image=tngtls").close()


def begun_without_password() -> None:
    request = ("signer", "request", "--out", "other.csr", "--signer-id", "0035", "--device", OTHER)
    assert run(*request, "--no-password", *CHEAP) == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (configured_for_a_product, "config-locked-other"),
        (an_older_part, "wrong-part"),
        (a_trust_part, "wrong-part"),
        (begun_without_password, "config-locked-other"),
    ],
)
def test_unsuitable_chip_is_refused_before_questions(
    here: Path, command: str, prepare: Any, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare()
    before = Path("other.chip").read_bytes()
    capsys.readouterr()
    assert run(*COMMANDS[command]) != 0
    said = capsys.readouterr().err
    assert f"Error [{code}]" in said
    assert "becomes a module" not in said
    assert json.loads(Path("other.chip").read_bytes())["config"] == json.loads(before)["config"]


def test_root_module_given_as_the_signer_is_reported(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for same in (ROOT, f"emulator:{here}/root.chip"):
        assert run("signer", "create", "--root", "root", "--root-device", ROOT, "--device", same) == 6
        assert f"The chip at {same} is the root module itself" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["signer create", "signer import"])
def test_another_root_module_is_refused_as_signer(here: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = ("--device", OTHER, "--out", "other", "--no-password", *CHEAP)
    assert run("root", "create", *made) == 0
    assert run(*COMMANDS[command]) == 6
    assert "The chip is a root module already" in capsys.readouterr().err


def test_import_on_a_blank_chip_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*COMMANDS["signer import"]) == 2
    assert "The module was not begun" in capsys.readouterr().err


def test_newer_silicon_gives_a_warning_and_becomes_a_module(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Device.open(OTHER).close()
    chip = Path("other.chip")
    chip.write_text(json.dumps(json.loads(chip.read_text()) | {"revision": "00006009"}))
    request = ("signer", "request", "--out", "other.csr", "--signer-id", "0035", "--device", OTHER)
    assert run(*request, "--no-password", *CHEAP) == 0
    assert "Warning: This chip is an ATECC608 of a revision" in capsys.readouterr().err
