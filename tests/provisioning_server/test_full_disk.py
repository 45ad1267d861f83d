"""A disk that is full from any step of the server on: each start and each stop ends cleanly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the played full disk needs fork and memfd_create")
def test_disk_full_at_any_step_ends_in_an_orderly_stop(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    program = [sys.executable, "-m", "tests.support.full_disk"]
    command = [*program, str(tmp_path / "data"), "--signer", str(signer.path), "--web", "0"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *runs, whole = map(json.loads, done.stdout.splitlines())
    assert (whole["code"], whole["full"]) == (0, False), whole["said"]
    assert len(runs) > 10
    for run in runs:
        _ended_in_order(run)
    assert {run["code"] for run in runs} == {0, 2}
    assert any("The program log can no longer be written" in run["said"] for run in runs if run["code"] == 0)


def _ended_in_order(run: dict[str, Any]) -> None:
    assert "Traceback" not in run["said"], run["said"]
    if run["code"]:
        assert "Error [" in run["said"], run["said"]
        assert "ake room on its disk" in run["said"] or "Remove the cause" in run["said"], run["said"]
    else:
        assert "Provisioning Server stopped." in run["said"], run["said"]
