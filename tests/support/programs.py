"""Start the project's programs as a user does."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any, Final

LIMIT_SECONDS: Final = 60


def program(name: str) -> str:
    """Return the path of an installed program of this project."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def run(name: str, *words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program without a terminal to its end and return what it printed."""
    options: dict[str, Any] = {"cwd": cwd, "env": {**os.environ, **environment}}
    return subprocess.run(
        [program(name), *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
        **options,
    )
