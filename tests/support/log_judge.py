"""Go's sumdb/note and sumdb/tlog as the judge of our transparency logs: tests/transparency/judge/main.go."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.system_programs import require_program

_SOURCE: Final = Path(__file__).parent.parent / "transparency" / "judge" / "main.go"
_GO_PATH: Final = Path("/usr/share/gocode")
"""Where Debian's packages put the sources of Go libraries."""


_folders: list[Path] = []


@pytest.fixture(scope="session", autouse=True)
def judge_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give the judge a folder of this session; the conftest of its tests takes this over."""
    _folders.append(tmp_path_factory.mktemp("log-judge"))


class LogJudge:
    """The judge's program. Each method returns what it prints; it raises AssertionError when it finds a fault."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def open(self, note: Path, *keys: str) -> str:
        """Open a checkpoint that each of the keys must have signed; return origin, size and root."""
        return self._run("open", str(note), *keys)

    def log(self, folder: Path, *keys: str, old: Path | None = None) -> str:
        """Check every entry of an exported folder, and that it continues the old checkpoint."""
        return self._run("log", str(folder), str(old or ""), *keys)

    def proof(self, proof: Path, entry: Path, *keys: str) -> str:
        """Check a tlog-proof of an entry; return origin, size and index."""
        return self._run("proof", str(proof), str(entry), *keys)

    def growth(self, *values: str) -> str:
        """Check a consistency proof: size and root (Base64) of the old and of the new tree, then the hashes."""
        return self._run("growth", *values)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([self._program, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@functools.cache
def log_judge() -> LogJudge:
    """Build the judge, once in a process; skip the test where Go or its libraries are missing."""
    go = require_program("go")
    if not (_GO_PATH / "src/golang.org/x/mod/sumdb").is_dir():
        pytest.skip("sumdb is missing; the Debian package golang-golang-x-mod-dev brings it")
    folder = _folders[-1]
    program = folder / "judge"
    places = {"GOPATH": str(_GO_PATH), "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": ""}
    command = [go, "build", "-o", str(program), str(_SOURCE)]
    subprocess.run(command, env=os.environ | places, check=True, timeout=300)
    return LogJudge(program)
