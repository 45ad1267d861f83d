"""Build the wheel from a clean copy of the sources, with the locked build tools: the same bytes each time."""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from release.installs import make_environment
from release.locks import BUILD, ROOT
from release.run import run

_COMMIT_TIME: Final = ("git", "log", "-1", "--format=%ct", "HEAD")


def commit_time() -> str:
    """Return when the commit was made, in seconds since 1970: the only time that stands in a release."""
    return run(_COMMIT_TIME, cwd=ROOT).strip()


def build_wheel(output: Path) -> Path:
    """Build the wheel of the newest commit into a folder, and return it. Files that are not committed are not in it."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "sources"
        _export(sources, Path(folder) / "sources.tar")
        python = make_environment(Path(folder) / "environment", BUILD)
        env = {**os.environ, "SOURCE_DATE_EPOCH": commit_time()}
        command = [str(python), "-m", "build", "--wheel", "--no-isolation", "--outdir", str(output.resolve())]
        run(command, cwd=sources, env=env)
    (wheel,) = output.glob("atcaprov-*.whl")
    return wheel


def _export(sources: Path, archive: Path) -> None:
    run(["git", "archive", "--format=tar", f"--output={archive}", "HEAD"], cwd=ROOT)
    with tarfile.open(archive) as packed:
        packed.extractall(sources, filter="data")
