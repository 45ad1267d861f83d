"""System programs that the bench starts, and the Debian packages that bring them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

_PACKAGES: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "depmod": "kmod",
    "modprobe": "kmod",
    "udevadm": "udev",
    "cpio": "cpio",
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg": "dpkg",
    "nice": "coreutils",
    "mkfs.ext4": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "debugfs": "e2fsprogs",
}
_SYSTEM_FOLDERS: Final = "/usr/sbin:/sbin"


class BenchUnavailable(Exception):  # noqa: N818 - a state of this machine, not an error
    """Something that the bench needs is missing on this machine; the text says what."""


def program(name: str) -> str:
    """Return the path of a program.

    Raises:
        BenchUnavailable: it is missing; names the Debian package that brings it.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_FOLDERS}")
    if path is None:
        raise BenchUnavailable(f"{name} is missing; the Debian package {_PACKAGES[name]} brings it")
    return path


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a program and return what it prints.

    Raises:
        BenchUnavailable: it failed; the text ends with its last output.
    """
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchUnavailable(f"'{' '.join(command)}' failed: {done.stderr.strip()[-500:]}")
    return done.stdout
