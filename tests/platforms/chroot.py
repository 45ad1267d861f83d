"""A Debian system in a folder, made by mmdebstrap. Its mounts and programs end with each command that runs in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = Path(os.environ.get("ATCAPROV_PLATFORMS", ROOT / ".platforms"))
_MADE: Final = "made-by-tests-platforms"
_MADE_IN_TREE: Final = (".git", ".venv", ".platforms", ".bench", ".*_cache", ".hypothesis", "__pycache__", "demo")
_CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"
_ENTER: Final = """
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
mount --rbind /sys "$0/sys"
exec chroot "$0" /bin/sh -euc "$1"
"""
_FROM_OUTSIDE: Final = ("PIP_", "SSL_CERT", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_SHOWN_LINES: Final = 40


class UnavailableError(Exception):
    """The platform is not available here. `elsewhere`: because of a server that is not the project's."""

    def __init__(self, reason: str, *, elsewhere: bool = False) -> None:
        super().__init__(reason)
        self.elsewhere = elsewhere


class FailedError(Exception):
    """Something fails that should work there; the message is the end of its output."""


@dataclass(frozen=True)
class Chroot:
    """An installed system."""

    folder: Path

    def run(self, script: str) -> None:
        """Run a shell script in it; raises FailedError."""
        lines = self._output(script)
        if lines is not None:
            raise FailedError("\n".join(lines[-_SHOWN_LINES:]))

    def require_network(self, script: str, what: str) -> None:
        """Run a script that fetches something; raises UnavailableError."""
        lines = self._output(script)
        if lines is not None:
            raise UnavailableError(f"{what} cannot be reached: {lines[-1] if lines else 'no answer'}", elsewhere=True)

    def require_index(self) -> None:
        """Raise UnavailableError when pip cannot fetch packages there."""
        fetch = "python3 -m venv /tmp/net && /tmp/net/bin/pip -q download --no-deps -d /tmp/net packaging"
        self.require_network(fetch, "The index of Python packages")

    def put_tree(self) -> None:
        """Copy the project into `/src`, without what was made in it."""
        target = self.folder / "src"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*_MADE_IN_TREE))

    def _output(self, script: str) -> list[str] | None:
        """Run a script; return the lines of its output if it fails, else None."""
        command = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        done = subprocess.run(
            [*command, "sh", "-euc", _ENTER, str(self.folder), script],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout.decode(errors="replace").splitlines() if done.returncode else None


def debian(suite: str, packages: Iterable[str], *, architecture: str = "", options: Iterable[str] = ()) -> Chroot:
    """Return a Debian system with some packages, from the cache if it was made before; raises UnavailableError."""
    _require_means()
    folder = CACHE / "-".join(filter(None, (suite, architecture)))
    wanted = " ".join(sorted(packages))
    made = folder / _MADE
    if not made.is_file() or made.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        _bootstrap(suite, folder, [f"--include={wanted.replace(' ', ',')}", *options])
        made.write_text(wanted)
    for name in (_CERTIFICATES, "etc/resolv.conf"):
        if Path("/", name).is_file():
            shutil.copyfile(Path("/", name), folder / name)
    return Chroot(folder)


def _bootstrap(suite: str, folder: Path, options: list[str]) -> None:
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=apt", *options, suite, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        said = done.stderr.decode(errors="replace").splitlines()
        raise UnavailableError(f"mmdebstrap cannot make {suite}: {said[-1] if said else 'no reason'}", elsewhere=True)


def _require_means() -> None:
    if os.geteuid() != 0:
        raise UnavailableError("only root can make a chroot")
    for program, package in (("mmdebstrap", "mmdebstrap"), ("unshare", "util-linux")):
        if shutil.which(program) is None:
            raise UnavailableError(f"{program} is missing; the Debian package {package} brings it")


def _environment() -> dict[str, str]:
    ours = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    return ours | {name: value for name, value in os.environ.items() if name.startswith(_FROM_OUTSIDE)}
