"""Environments with exactly what a lock says, as a factory installs it."""

from __future__ import annotations

import sys
from pathlib import Path

from release.locks import ROOT, lock_file
from release.run import run


def make_environment(folder: Path, lock: str) -> Path:
    """Make a virtual environment with the packages of a lock, hashes checked; return its Python."""
    run([sys.executable, "-m", "venv", str(folder)], cwd=ROOT)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install(python, "--require-hashes", "--requirement", str(lock_file(lock)))
    return python


def install(python: Path, *arguments: str) -> None:
    """Run pip install in an environment."""
    run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments], cwd=ROOT)


def install_release(folder: Path, lock: str, wheel: Path) -> Path:
    """Install as the page says: the locked packages, then the wheel alone; return the folder of the programs."""
    python = make_environment(folder, lock)
    install(python, "--no-deps", "--no-index", str(wheel))
    run([str(python), "-m", "pip", "check"], cwd=ROOT)
    return python.parent
