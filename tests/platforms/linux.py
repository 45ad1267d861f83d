"""Other Debian releases: install as the README says, run the demo and a part of the tests."""

from __future__ import annotations

import shutil
from typing import Final

from tests.platforms.chroot import Chroot, UnavailableError, debian

_NEEDED: Final = ("ca-certificates", "make", "openssl", "python3", "python3-venv")
_FOR_BUILDS: Final = ("build-essential", "cmake", "libudev-dev", "libusb-1.0-0-dev", "python3-dev")
_TESTS: Final = (
    "tests/platforms tests/device tests/e2e/test_road.py tests/provisioning/test_provision.py tests/terminal"
    " tests/provisioning_server/lifecycle/test_module_watcher.py tests/provisioning_server/transport/test_network.py"
    " tests/signer_module/test_signer_folder.py tests/wire tests/program/test_event_loop.py tests/test_file_lock.py"
    " tests/test_unsearchable.py"
)
_INSTALL: Final = "cd /src && python3 -m venv /tmp/venv && . /tmp/venv/bin/activate && python3 -m pip install -q ."
_PROGRAMS: Final = (
    "for program in atcaprov provisioning-client provisioning-server signer-module; do $program --help; done"
)
_ALL: Final = f"cd /src && make demo && .venv/bin/python -m pytest -q -p no:cacheprovider {_TESTS}"


def trixie() -> None:
    """Debian 13 with Python 3.13, where the driver comes as a wheel."""
    _install_and_test(debian("trixie", _NEEDED))


def forky() -> None:
    """The next Debian with Python 3.14, where pip builds the driver."""
    stale = '--aptopt=Acquire::Check-Valid-Until "false"'  # as long as it is tested, its Release file may be old
    _install_and_test(debian("forky", (*_NEEDED, *_FOR_BUILDS), options=[stale]))


def arm64() -> None:
    """Debian 13 for arm64, emulated."""
    if shutil.which("qemu-aarch64-static") is None:
        raise UnavailableError("qemu-aarch64-static is missing; the Debian package qemu-user-static brings it")
    system = debian("trixie", (*_NEEDED, *_FOR_BUILDS), architecture="arm64", options=["--architectures=arm64"])
    _install_and_test(system)


def _install_and_test(system: Chroot) -> None:
    system.put_tree()
    system.require_index()
    system.run(f"{_INSTALL} && {_PROGRAMS}")
    system.run(_ALL)
