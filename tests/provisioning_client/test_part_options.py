"""`--part`, `--key-slot` and `--replace-certificates` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning_client.cli import command
from tests.support.programs import run_in_process

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--replace-certificates",), "--part tflxtls"),
        (("--replace-foreign-certificates",), "--part tflxtls"),
        (("--part", "tflxtls", "--key-slot", "1"), "--key-slot 0, 2, 3 or 4"),
        (("--part", "tflxtls", "--lock-slot", "0"), "Slot 0 of a TFLXTLS cannot be locked"),
        (("--key-slot", "10"), "slot 10 cannot hold the device key"),
        (("--part", "tngtls"), "'tngtls' is not one of"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_the_start(options: tuple[str, ...], said: str) -> None:
    ended = run_in_process(command, "--device", "emulator:?image=tflxtls", "--auto", *options)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())


def test_a_configuration_of_ones_own_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.hex"
    own.write_text((ROOT / "configs" / "atecc608a-default.hex").read_text().replace("C0 00 00 00 85", "C0 00 00 01 85"))
    ended = run_in_process(command, "--device", "emulator:", "--auto", "--part", "tflxtls", "--config", str(own))
    assert ended.code == 2
    assert "Leave --config out" in " ".join(ended.err.split())
