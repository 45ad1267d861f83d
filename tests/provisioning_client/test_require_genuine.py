"""`--require-genuine` and its test root on the command line."""

from __future__ import annotations

from pathlib import Path

from provisioning_client.cli import command
from tests.support.programs import run_in_process

ROOT = Path(__file__).parents[2] / "configs" / "images" / "tngtls-test-root.pem"


def test_test_root_without_the_demand_is_refused() -> None:
    ended = run_in_process(command, "--device", "emulator:", "--auto", "--genuine-root", str(ROOT))
    assert ended.code == 2
    assert "--genuine-root needs --require-genuine" in ended.err


def test_test_root_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(b"no certificate")
    options = ("--require-genuine", "--genuine-root", str(tmp_path / "root.pem"))
    ended = run_in_process(command, "--device", "emulator:", "--auto", *options)
    assert ended.code == 2
    assert "holds no certificate" in ended.err
