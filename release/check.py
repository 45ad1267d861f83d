"""Try a release: built twice it is the same, installed from the locks it runs, and every platform finds its wheels."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from release.installs import install_release
from release.locks import EXTRAS, ROOT, check_wheels
from release.run import FailedError, run

LINUX: Final = "x86_64-manylinux_2_28"
MACOS: Final = "aarch64-apple-darwin"
WINDOWS: Final = "x86_64-pc-windows-msvc"
WITH_WHEELS: Final = tuple((platform, f"3.{minor}") for platform in (LINUX, MACOS, WINDOWS) for minor in (11, 12, 13))
"""Where nothing is compiled. Elsewhere pip builds the vendor's driver from its source, whose hash is locked."""
_PROGRAMS: Final = {
    "server": ("atcaprov", "provisioning-server", "signer-module"),
    "station": ("atcaprov", "provisioning-client"),
}


def check_platforms() -> None:
    """Look for the wheels of each install on each platform; nothing is installed."""
    with tempfile.TemporaryDirectory() as folder:
        for name in EXTRAS:
            for platform, python in WITH_WHEELS:
                check_wheels(name, platform, python, Path(folder))
    print(f"Every package has a wheel with a locked hash on {len(WITH_WHEELS)} platforms.")


def check_release(build: Callable[[Path], None], folder: Path) -> None:
    """Build twice, compare byte for byte, install and start the programs."""
    build(folder)
    with tempfile.TemporaryDirectory() as place, _unusual_process():
        again = Path(place) / "again"
        build(again)
        differing = [name for name in _names(folder, again) if _differs(folder / name, again / name)]
        if differing:
            raise FailedError(f"Built twice, these files differ: {', '.join(differing)}.")
        (wheel,) = again.glob("*.whl")
        for name in EXTRAS:
            programs = install_release(Path(place) / name, name, wheel)
            for program in _PROGRAMS[name]:
                print(run([str(programs / program), "--version"], cwd=ROOT), end="")
    print("Built twice, all files are the same.")


def _names(*folders: Path) -> list[str]:
    return sorted({path.name for folder in folders for path in folder.iterdir()})


def _differs(first: Path, second: Path) -> bool:
    return not (first.exists() and second.exists()) or first.read_bytes() != second.read_bytes()


@contextlib.contextmanager
def _unusual_process() -> Iterator[None]:
    """Set another umask and time zone than usual, which must not show in a release."""
    umask, zone = os.umask(0o077), os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Chatham"
    try:
        yield
    finally:
        os.umask(umask)
        os.environ.pop("TZ")
        if zone is not None:
            os.environ["TZ"] = zone
