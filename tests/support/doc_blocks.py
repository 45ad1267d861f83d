"""Run the console blocks of a documentation page as a reader would: from top to bottom, in one folder.

```console            commands behind `$ `, run to their end; the lines below must come out in this order
```console background  one command that keeps running until the page is done, or until
```console after stop  commands before which all that runs is stopped, as by Ctrl-C in its terminal
```console after kill  commands before which all that runs is killed, as by a power cut

In expected lines `…` stands for any text; expected lines are a selection of what is printed. A block in a list is
indented, and runs like any other.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sysconfig
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.ports import unused_port

_KINDS: Final = "background|after stop|after kill"
_BLOCK: Final = re.compile(rf"^( *)```console(?: ({_KINDS}))?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LIMIT_SECONDS: Final = 120
_LATE: Final = re.compile(r"\bcerts/|\bcerts$|--server-data ")
"""These commands read files that a server writes in a pause after the board, before a person has typed the next one."""


@dataclass(frozen=True)
class PageStep:
    """One command and the lines that the page shows below it."""

    command: str
    expected: tuple[str, ...]
    background: bool
    signal: signal.Signals | None = None
    """What ends the programs in the background before it."""


def steps(page: str) -> list[PageStep]:
    """Return the commands of a page in order."""
    return [step for _, kind, block in _BLOCK.findall(page) for step in _steps_of(textwrap.dedent(block), kind)]


def _steps_of(block: str, kind: str) -> Iterator[PageStep]:
    ending = {"after stop": signal.SIGINT, "after kill": signal.SIGKILL}.get(kind)
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        length = next((n for n, line in enumerate(lines, 1) if not line.endswith("\\")), len(lines))
        expected = tuple(line for line in lines[length:] if line.strip())
        yield PageStep("\n".join(lines[:length]), expected, kind == "background", ending)
        ending = None


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Yield a reader who follows a page in `folder`; stop at the end what still runs."""
    someone = Reader(folder)
    try:
        yield someone
    finally:
        someone.leave()


class Reader:
    """Follow a page in a folder of its own, with its own home, the programs of this environment and an unused port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[str]] = []
        port = unused_port()
        scripts = sysconfig.get_path("scripts")
        self._environment = {
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PROVISIONING_SERVER_PORT": str(port),
            "PROVISIONING_CLIENT_PORT": str(port),
        }

    def follow(self, step: PageStep) -> None:
        """Run one step; raise AssertionError if it fails or does not print what the page shows."""
        if step.signal is not None:
            self._end(step.signal)
        if step.background:
            self._start(step)
            return
        done = self._run(step.command)
        end = time.monotonic() + _LIMIT_SECONDS
        while _LATE.search(step.command) and self._running and not _shown(step, done) and time.monotonic() < end:
            done = self._run(step.command)
        assert done.returncode == 0, f"$ {step.command}\n{done.stdout}"
        _require_lines(step, done.stdout)

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )

    def _start(self, step: PageStep) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {step.command}"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._running.append(process)
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if _has_lines(step, printed):
                return
        raise AssertionError(f"$ {step.command} ended:\n{printed}")

    def leave(self) -> None:
        """Stop what still runs."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        while self._running:
            process = self._running.pop()
            process.send_signal(number)
            process.communicate(timeout=_LIMIT_SECONDS)


def _shown(step: PageStep, done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0 and _has_lines(step, done.stdout)


def _require_lines(step: PageStep, printed: str) -> None:
    assert _has_lines(step, printed), f"$ {step.command}\nprinted:\n{printed}\nbut the page shows:\n" + "\n".join(
        step.expected
    )


def _has_lines(step: PageStep, printed: str) -> bool:
    wanted = [re.compile(re.escape(line.rstrip()).replace("…", ".*")) for line in step.expected]
    lines = iter(printed.splitlines())
    return all(any(pattern.fullmatch(line.rstrip()) for line in lines) for pattern in wanted)
