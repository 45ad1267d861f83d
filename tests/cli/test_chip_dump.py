"""`atcaprov chip dump`: a twin that shows the same as the chip, and can be provisioned where the chip could."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Code, Device, DeviceError, Profile, Provisioner
from atcaprov.cli.main import atcaprov
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.state_file import chip_file
from tests.support.chips_by_use import image, of_another_tool, provisioned
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.programs import Ended, run_in_process

CHIPS: dict[str, Callable[[], Memory]] = {
    "blank": image,
    "provisioned": provisioned,
    "other tool": of_another_tool,
    "508A": lambda: image("atecc508a"),
    **{name: lambda name=name: image(name) for name in ("tngtls", "tflxtls", "tnglora", "tmngtls")},  # type: ignore[misc]
}


WITH_CERTIFICATES = ("tngtls", "tflxtls", "tnglora")
"""Whose certificates have public definitions."""
TEST_ROOT = Path(__file__).parents[2] / "configs" / "images" / "tngtls-test-root.pem"


def dump(url: str, *options: object) -> Ended:
    return run_in_process(atcaprov, "chip", "dump", "--device", url, *map(str, options))


def saved(folder: Path, memory: Memory) -> str:
    file = folder / "chip.json"
    file.write_bytes(chip_file(memory))
    return f"emulator:{file}"


def shown(url: str, command: str = "info") -> dict[str, Any]:
    ended = run_in_process(atcaprov, "chip", command, "--device", url, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert isinstance(found, dict)
    return found | {"device": None}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHIPS)
def test_the_twin_shows_what_the_chip_shows(name: str, tmp_path: Path) -> None:
    url, out = saved(tmp_path, CHIPS[name]()), tmp_path / "twin.json"
    before = (tmp_path / "chip.json").read_bytes()
    assert dump(url, "--out", out).code == 0
    assert (tmp_path / "chip.json").read_bytes() == before
    for command in ("info", "dump", "cert") if name in WITH_CERTIFICATES else ("info", "dump"):
        assert shown(f"emulator:{out}", command) == shown(url, command)
    assert dump(f"emulator:{out}", "--out", tmp_path / "again.json").code == 0
    assert (tmp_path / "again.json").read_bytes() == out.read_bytes()


@pytest.mark.slow
def test_a_twin_has_no_key_that_the_chip_has(tmp_path: Path) -> None:
    memory = provisioned()
    secrets = bytes(memory.data[:36])
    url, out = saved(tmp_path, memory), tmp_path / "twin.json"
    assert dump(url, "--out", out).code == 0
    assert secrets[4:].hex() not in out.read_text()
    with Device.open(f"emulator:{out}") as device, pytest.raises(DeviceError) as refused:
        device.sign(0, bytes(32))
    assert refused.value.status == 0x0F


@pytest.mark.slow
def test_verification_tells_a_twin_by_the_key_that_it_does_not_have(tmp_path: Path) -> None:
    url, out = saved(tmp_path, image("tngtls")), tmp_path / "twin.json"
    assert dump(url, "--out", out).code == 0
    ends = [
        run_in_process(atcaprov, "chip", "verify", "--device", each, "--root", str(TEST_ROOT), "--json")
        for each in (url, f"emulator:{out}")
    ]
    real, twin = (json.loads(ended.out) for ended in ends)
    assert (ends[0].code, real["verdict"]) == (0, "good")
    assert (ends[1].code, twin["verdict"]) == (7, "not-good")
    assert "did not sign, so the chip does not prove that it holds it" in ends[1].err
    steps = [[step for step in found["steps"] if step["name"] != "key"] for found in (real, twin)]
    assert steps[0][: len(steps[1])] == steps[1]


@pytest.mark.slow
def test_the_twin_of_a_blank_chip_can_be_provisioned(tmp_path: Path) -> None:
    out, functions = tmp_path / "twin.json", InMemory(MemoryCa())
    url = saved(tmp_path, image())
    before = (tmp_path / "chip.json").read_bytes()
    assert dump(url, "--out", out).code == 0
    with Device.open(f"emulator:{out}") as device:
        result = Provisioner(Profile(), functions.authority.cert_info, functions).provision(device)
    assert shown(f"emulator:{out}")["use"] == "product"
    assert result.serial_number.hex().upper() == shown(url)["serial_number"]
    assert (tmp_path / "chip.json").read_bytes() == before


def test_no_file_is_replaced_and_the_chip_is_not_asked(tmp_path: Path) -> None:
    out = tmp_path / "twin.json"
    out.write_text("my keys")
    ended = dump("kit-hid:///dev/nothing", "--out", out)
    assert (ended.code, out.read_text()) == (2, "my keys")
    assert f"Error [{Code.FILE_UNWRITABLE}]" in ended.err


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    ended = dump("emulator:", "--out", tmp_path / "none" / "twin.json")
    assert ended.code == 2
    assert "cannot be written" in ended.err


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    out = tmp_path / "twin.json"
    assert dump("emulator:", "--out", out).code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_without_file_and_json_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert "Give --out FILENAME, --json, or both" in dump("emulator:").err
    out = ("--out", tmp_path / "twin.json")
    for options in (out, ("--json",), ("--json", "--out", tmp_path / "other.json")):
        assert dump("emulator:", *options).code == 0


def test_the_summary_says_what_the_chip_did_not_show(tmp_path: Path) -> None:
    out = dump("emulator:?image=tngtls", "--out", tmp_path / "twin.json").out
    assert "Read: configuration, OTP, slots 5, 8, 10, 11, 12." in out
    assert "Public keys: slot 0, slot 1, slot 2, slot 3, slot 4." in out
    assert "Not shown by the chip: private keys of slots 0, 1, 2, 3, 4; content of slots 6, 7, 9, 13, 14, 15." in out


@pytest.mark.slow
def test_json_has_every_slot(tmp_path: Path) -> None:
    found = json.loads(dump(saved(tmp_path, provisioned()), "--json").out)
    assert sorted(found["slots"], key=int) == [str(slot) for slot in range(16)]
    assert found["slots"]["0"] is None
    assert len(found["slots"]["8"]) == 2 * 416
    assert found["keys"]["0"] is True
    assert len(found["public_keys"]["0"]) == 128
