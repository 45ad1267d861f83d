"""`control.json` in the data folder: where the running server takes commands, and the secret that admits them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import MalformedError, parse_json, read_bytes, status
from atcaprov.errors import Code, UsageError
from provisioning_server.control.sealed_lines import SECRET_SIZE

FILE_NAME: Final = "control.json"
_MODE: Final = 0o600
_FILE_MAX: Final = 1024
_PORTS: Final = range(1, 1 << 16)


@dataclass(frozen=True, slots=True)
class ControlPlace:
    """The port on this computer's loopback address, and the secret (32 bytes)."""

    port: int
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(SECRET_SIZE), repr=False)


class ControlFile:
    """The file of a data folder."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE_NAME

    def read(self) -> ControlPlace | None:
        """Return what it says; None if there is no file: no server runs, or it has just begun to start.

        A server that was killed leaves its file: then nothing answers at its port, or a program that lacks the secret.

        Raises:
            UsageError: FILE_UNREADABLE, FILE_INVALID.
        """
        if status(self.path) is None:
            return None
        try:
            found = parse_json(read_bytes(self.path, _FILE_MAX))
            port, secret = found["port"], bytes.fromhex(found["secret"])
        except (MalformedError, KeyError, TypeError, ValueError) as error:
            raise self._invalid() from error
        if type(port) is not int or port not in _PORTS or len(secret) != SECRET_SIZE:
            raise self._invalid()
        return ControlPlace(port, secret)

    def write(self, place: ControlPlace) -> None:
        """Write it for its owner alone; raises UsageError FILE_UNWRITABLE."""
        text = json.dumps({"port": place.port, "secret": place.secret.hex()})
        try:
            durable_files.replace(self.path, f"{text}\n".encode(), _MODE)
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be written: {error.strerror}.",
                advice="Make room on its disk, or choose another folder with --data.",
                code=Code.FILE_UNWRITABLE,
            ) from error

    def remove(self) -> None:
        """Remove it, if it is there; raises OSError."""
        self.path.unlink(missing_ok=True)

    def _invalid(self) -> UsageError:
        return UsageError(
            f"{self.path} is not a control file of a server.",
            advice="Delete it and restart the server, which writes it.",
            code=Code.FILE_INVALID,
        )
