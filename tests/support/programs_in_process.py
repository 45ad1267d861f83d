"""Run one of our programs in this process, up to its exit code."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import click
import pytest

from atcaprov.cli.border import run_program


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit code, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


def run_in_process(command: click.Command, *arguments: str) -> Ended:
    """Run a click command with arguments as its program does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        run_program(command, command.name or "program", list(arguments))
    code = ended.value.code
    assert isinstance(code, int)
    return Ended(code, out.getvalue(), err.getvalue())
