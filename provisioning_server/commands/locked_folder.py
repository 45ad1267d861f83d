"""The data folder for a command that writes: no server may use it meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from atcaprov.bounded_reading import is_folder
from atcaprov.errors import UsageError
from provisioning_server.records.data_folder import DataFolder


@contextlib.contextmanager
def locked_data_folder(data: Path) -> Iterator[None]:
    """Hold a data folder that exists; raises UsageError if it does not, or if a server or another command has it."""
    if not is_folder(data):
        raise UsageError(f"There is no data folder {data}.", advice="Name the folder of the server with --data.")
    with DataFolder(data, datetime.now(UTC)).locked():
        yield
