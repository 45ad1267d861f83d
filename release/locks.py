"""The locked requirements of installs: every package with its version and the hashes of all its files.

`make lock` writes them with uv, for all systems and Python versions at once; `pip install --require-hashes` reads them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from release.run import run, tool

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "release" / "locks"
_NOT_INSTALLED: Final = ("dev", "docs", "release")
"""Extras for work on the project."""


def _extras() -> tuple[str, ...]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return tuple(sorted(project["optional-dependencies"].keys() - set(_NOT_INSTALLED)))


EXTRAS: Final[dict[str, tuple[str, ...]]] = {"server": _extras(), "station": ()}
"""The installs, and the extras of each."""
BUILD: Final = "build"
"""The lock of what builds the wheel."""
_OLDEST_PYTHON: Final = "3.11"
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Locked:
    """A locked package: what is required, with its version and where, and the SHA-256 of each of its files."""

    requirement: Requirement
    hashes: tuple[str, ...]


def lock_file(name: str) -> Path:
    """Return the lock of an install, or of the build."""
    return FOLDER / f"{name}.txt"


def read_lock(name: str) -> Iterator[Locked]:
    """Yield what a lock has; raises ValueError for a line that pip would not take with --require-hashes."""
    text = lock_file(name).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in (line.strip() for line in text.splitlines()):
        if line and not line.startswith("#"):
            words, *_ = line.partition("--hash=")
            hashes = tuple(_HASH.findall(line))
            if not hashes or len(hashes) != line.count("--hash="):
                raise ValueError(f"{name}: no SHA-256 for every file: {words.strip()}")
            yield Locked(Requirement(words.strip()), hashes)


def write_locks() -> None:
    """Lock the newest versions that pyproject.toml allows."""
    for name, extras in EXTRAS.items():
        options = [word for extra in extras for word in ("--extra", extra)]
        _compile([*options, "pyproject.toml"], name)
    _compile([str(FOLDER / "build.in")], BUILD)


def _compile(arguments: list[str], name: str) -> None:
    options = ("--universal", "--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url", "--upgrade")
    output = ("--python-version", _OLDEST_PYTHON, "--output-file", str(lock_file(name)))
    run([tool("uv"), "pip", "compile", "--quiet", *options, *output, *arguments], cwd=ROOT)


def check_wheels(name: str, platform: str, python: str, target: Path) -> None:
    """Raise FailedError unless every package of a lock has a wheel for a platform, with a hash that is locked."""
    options = ("--dry-run", "--require-hashes", "--only-binary", ":all:", "--target", str(target))
    where = ("--python-platform", platform, "--python-version", python)
    run([tool("uv"), "pip", "install", "--quiet", *options, *where, "--requirement", str(lock_file(name))], cwd=ROOT)
