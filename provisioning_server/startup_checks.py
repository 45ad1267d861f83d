"""What the server keeps or reads that is open to others on this computer, each with the command that closes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from provisioning_server.records.data_folder import DataFolder
from provisioning_server.settings import Settings
from signer_module.on_files.root_folder import KEY_FILE
from signer_module.password_rules import is_exposed


def exposures(settings: Settings, folder: DataFolder) -> Iterator[str]:
    """Yield a warning for each folder that everyone may change, and each private key that is not its owner's alone."""
    if os.name != "posix":
        return
    for path in folder.open_to_all():
        yield f"Every user of this computer may change what is in {path}. Run: chmod o-w {quote(str(path))}"
    for path in _keys(settings):
        with contextlib.suppress(OSError):  # a key that is not there is told by who needs it
            if is_exposed(path):
                yield f"Others may read or change the private key {path}. Run: chmod 600 {quote(str(path))}"


def _keys(settings: Settings) -> Iterator[Path]:
    yield from (signer / KEY_FILE for signer in settings.signer_folders)
    if settings.web is not None and settings.web.key is not None:
        yield settings.web.key
