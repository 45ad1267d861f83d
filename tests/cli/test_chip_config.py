"""`atcaprov chip config`: the zone of a chip as `config show` shows that of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atcaprov.cli.main import atcaprov
from tests.support.programs import Ended, run_in_process


def config(*options: str, image: str = "atecc608a") -> Ended:
    return run_in_process(atcaprov, "chip", "config", "--device", f"emulator:?image={image}", *options)


@pytest.mark.parametrize(("image", "part"), [("tflxtls", "ATECC608"), ("atecc508a", "ATECC508A")])
def test_a_chips_zone_is_shown_as_that_of_a_file(image: str, part: str, tmp_path: Path) -> None:
    file = tmp_path / "zone.hex"
    file.write_text(config("--hex", image=image).out)
    shown = run_in_process(atcaprov, "config", "show", str(file), "--part", part)
    assert shown.code == 0
    assert config(image=image).out == shown.out


def test_json_has_the_bytes_and_every_field() -> None:
    found = json.loads(config("--json").out)
    assert len(found["config"]) == 256
    assert [slot["slot"] for slot in found["slots"]] == list(range(16))
    assert {"byte": 16, "name": "I2C_Address", "value": "C0", "meaning": "address C0 (7-bit 0x60)"} in found["fields"]


def test_hex_and_json_exclude_each_other() -> None:
    assert config("--hex", "--json").code == 2
