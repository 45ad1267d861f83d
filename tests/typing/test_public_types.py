"""The public names under two type checkers, as a user's program sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import atcaprov
from atcaprov import AtcaProvError

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
FILES = ("accepted.py", "rejected.py")
PYRIGHT_SECONDS = 300


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_mypy_agrees(name: str) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", str(FOLDER / name)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stdout


@pytest.fixture(scope="module")
def pyright(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Run pyright once over both files, as strictly as it can be; return what it reports."""
    pytest.importorskip("pyright", reason="pyright is missing; the extra 'dev' brings it")
    project = str(FOLDER / "pyrightconfig.json")
    command = [sys.executable, "-m", "pyright", "--project", project, "--pythonpath", sys.executable, "--outputjson"]
    environment = os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=PYRIGHT_SECONDS, check=False
        )
        report = json.loads(run.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        pytest.skip(f"pyright does not start here: {error}")
    assert report["summary"]["filesAnalyzed"] == len(FILES)
    found: list[dict[str, Any]] = report["generalDiagnostics"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_pyright_agrees(name: str, pyright: list[dict[str, Any]]) -> None:
    mine = [each for each in pyright if Path(each["file"]).name == name]
    assert [f"line {each['range']['start']['line'] + 1}: {each['message']}" for each in mine] == []


def test_every_public_name_is_used() -> None:
    text = "".join((FOLDER / name).read_text(encoding="utf-8") for name in FILES)
    unused = {name for name in atcaprov.__all__ if name not in text}
    assert {name for name in unused if not _is_error(getattr(atcaprov, name))} == set()


def _is_error(public: object) -> bool:
    return isinstance(public, type) and issubclass(public, AtcaProvError)
