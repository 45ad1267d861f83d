"""Run the tools of a release."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class FailedError(Exception):
    """A tool failed; the text is what it printed."""


def tool(name: str) -> str:
    """Return a program of this environment."""
    return str(Path(sys.executable).with_name(name))


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; raises FailedError."""
    ended = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    printed = ended.stdout.decode(errors="replace")
    if ended.returncode:
        raise FailedError(f"{' '.join(command)}\n{printed}")
    return printed
