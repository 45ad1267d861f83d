"""Run the project's programs: as a process, as a user does, or in this process, where that is quicker."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import pytest

import signer_module.cli
from atcaprov.program.exit_codes import run_program

LIMIT_SECONDS: Final = 60


def program(name: str) -> str:
    """Return the path of an installed program of this project."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def run(name: str, *words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a process without a terminal to its end and return what it printed."""
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


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit code, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


def run_in_process(command: click.Command, *arguments: str) -> Ended:
    """Run a click command in this process with arguments, up to its exit code, as its program does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        run_program(command, command.name or "program", list(arguments))
    code = ended.value.code
    assert isinstance(code, int)
    return Ended(code, out.getvalue(), err.getvalue())


def run_signer_module(*arguments: object) -> int:
    """Run `signer-module` in this process, in the current folder; return its exit code, leave its output to capsys."""
    return signer_module.cli.main([str(argument) for argument in arguments])


@contextlib.contextmanager
def killed_after(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    """Kill a process if the block takes longer: its reader then reaches the end of its output and can report it."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
