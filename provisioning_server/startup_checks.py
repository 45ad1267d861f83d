"""Checks at the start: who may change the files of the server, and how many files it may open."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from provisioning_server.records.data_folder import DataFolder
from provisioning_server.settings import Settings
from provisioning_server.stations import station_ca as stations
from provisioning_server.stations.server_tls import SERVER_FILE
from signer_module.on_files.root_folder import KEY_FILE
from signer_module.password_rules import is_exposed

DESCRIPTORS: Final = 1024
"""Enough for every connection at the port and at the web page, the modules and the records."""


def permission_warnings(settings: Settings, folder: DataFolder) -> Iterator[str]:
    """Yield a warning for each folder that everyone may change, and each private key that is not its owner's alone."""
    if os.name != "posix":
        return
    for path in folder.open_to_all():
        yield f"Every user of this computer may change files in {path}. Run: chmod o-w {quote(str(path))}"
    for path in _keys(settings, folder):
        with contextlib.suppress(OSError):  # a missing key is reported where it is needed
            if is_exposed(path):
                yield f"Others may read or change the private key {path}. Run: chmod 600 {quote(str(path))}"


def _keys(settings: Settings, folder: DataFolder) -> Iterator[Path]:
    yield from (folder.path / stations.FOLDER / name for name in (stations.CA_FILE, SERVER_FILE))
    yield from (signer / KEY_FILE for signer in settings.signer_folders)
    if settings.web is not None and settings.web.key is not None:
        yield settings.web.key


def allow_enough_descriptors() -> None:
    """Raise this process's limit of open file descriptors to DESCRIPTORS, as far as the system allows."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
