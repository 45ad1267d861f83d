"""What the server was asked to do, and the limits that protect it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from atcaprov.errors import UsageError
from atcaprov.hal.registry import require_device_url
from atcaprov.reading import is_folder
from atcaprov.web.address import WebAddress
from atcaprov.web.loopback import is_loopback
from provisioning_server.passwords.given_passwords import GivenPassword

DEFAULT_PORT: Final = 11235
DEFAULT_BIND: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for connections; times in seconds."""

    connections: int = 384 if sys.platform == "win32" else 512
    """Windows can wait for 512 sockets in all: those of the web page and of clients that are refused, too."""
    of_one_address: int = 256
    """When three quarters of them are taken; see `connection_table`."""
    refused: int = 64
    """Further ones that are told that there are too many, at once; beyond these they are cut."""
    message_seconds: float = 10.0
    """From the first byte of a message to its last."""
    first_message_seconds: float = 60.0
    """From connecting to the first complete message."""
    idle_seconds: float = 8 * 3600.0
    """Between two messages of a client that keeps its connection."""
    write_seconds: float = 30.0
    """For a client to take its reply."""
    linger_seconds: float = 2.0
    """For a client that was refused to read why, before the connection is cut."""
    stop_seconds: float = 10.0
    """For what is being signed when the server is stopped."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of one start."""

    signer_folders: tuple[Path, ...]
    data: Path
    bind: str = DEFAULT_BIND
    port: int = DEFAULT_PORT
    plain_network: bool = False
    allow_rekey: bool = False
    config_zones: tuple[bytes, ...] = ()
    """The configuration zones of the products; without one, any is served."""
    passwords: tuple[GivenPassword, ...] = field(default=(), repr=False)
    credentials: Path | None = None
    """Folder of systemd's credentials."""
    modules: tuple[str, ...] = ()
    """Device URLs of signer modules."""
    module_folder: Path | None = None
    scan: bool = False
    """Try every kit that is plugged in."""
    web: WebAddress | None = None
    """Where the web page is served; None: nowhere."""
    log_level: int | None = None
    """The level of `ProgramLog`."""
    accept_clock: str | None = None
    """Why the clock is right although records are newer; None: it has to be newer than they are."""
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not (self.signer_folders or self.modules or self.module_folder or self.scan):
            raise UsageError(
                "No signer was named.",
                advice="Name the folder of a signer with --signer, or a module with --module; --scan finds modules.",
            )
        if self.accept_clock is not None and not self.accept_clock.strip():
            raise UsageError(
                "The reason of --accept-clock is empty.",
                advice="Say why the clock is right, such as --accept-clock 'clock was in local time until today'.",
            )
        for url in self.modules:
            require_device_url(url)
        if self.module_folder is not None:
            _require_module_folder(self.module_folder)
        if not self.plain_network and not is_loopback(self.bind):
            raise UsageError(
                f"Plain TCP on {self.bind} can be read and changed by everyone on that network.",
                advice="Bind to 127.0.0.1, or add --plain-network if the network is yours alone.",
            )


def _require_module_folder(path: Path) -> None:
    advice = "Check --module-folder."
    try:
        if is_folder(path):
            return
    except UsageError as error:
        raise UsageError(error.what, advice=advice, code=error.code) from error
    raise UsageError(f"{path} is not a folder of modules.", advice=advice)
