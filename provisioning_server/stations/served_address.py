"""Where stations reach this server, kept in `stations/address.txt` for the tokens that a command prints."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import is_file, read_text
from atcaprov.errors import Code, UsageError
from atcaprov.wire.server_place import ServerPlace
from provisioning_server.stations.station_ca import FOLDER

ADDRESS_FILE: Final = "address.txt"
_MODE: Final = 0o640


def served_address(bind: str, port: int, names: Sequence[str]) -> ServerPlace:
    """Return the address for tokens: the first name that was chosen, else where the server listens."""
    if names:
        return ServerPlace(names[0], port)
    return ServerPlace(socket.gethostname() if _is_everywhere(bind) else bind, port)


def keep_address(data: Path, address: ServerPlace) -> None:
    """Keep the address durably; raises UsageError FILE_UNWRITABLE."""
    path = data / FOLDER / ADDRESS_FILE
    try:
        durable_files.replace(path, f"{address}\n".encode(), _MODE)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.",
            advice="Make room on its disk, or choose another folder with --data.",
            code=Code.FILE_UNWRITABLE,
        ) from error


def kept_address(data: Path) -> ServerPlace | None:
    """Return the address that was kept last; None if there is none. Raises UsageError."""
    path = data / FOLDER / ADDRESS_FILE
    return ServerPlace.parse(read_text(path).strip()) if is_file(path) else None


def _is_everywhere(bind: str) -> bool:
    try:
        return ipaddress.ip_address(bind).is_unspecified
    except ValueError:
        return False
