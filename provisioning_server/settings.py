"""The settings of one start: options, variables and the settings file together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import platformdirs

from atcaprov.bounded_reading import is_folder
from atcaprov.errors import UsageError
from atcaprov.hal.registry import require_device_url
from atcaprov.web.address import WebAddress, is_loopback
from provisioning_server.audit.log_key import LogChip
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.operations.metrics_access import MetricsAccess
from provisioning_server.orders.quota_alarm import DEFAULT_ALARM
from provisioning_server.orders.rate_limits import RequestRates
from provisioning_server.passwords.given_passwords import GivenPassword
from provisioning_server.products.product import ProductFiles
from provisioning_server.revocation.schedule import DEFAULT_VALIDITY
from provisioning_server.stations.server_names import require_server_name
from provisioning_server.transport.limits import ConnectionLimits

DEFAULT_PORT: Final = 11235
DEFAULT_BIND: Final = "127.0.0.1"


def default_data() -> Path:
    """Return the data folder of the user."""
    return platformdirs.user_data_path("atcaprov") / "provisioning-server"


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of one start."""

    signer_folders: tuple[Path, ...]
    data: Path
    ledger: PostgresqlUrl | None = None
    """The database of the ledger; None: a file in the data folder."""
    bind: str = DEFAULT_BIND
    port: int = DEFAULT_PORT
    plain_network: bool = False
    tls: bool = False
    tls_names: tuple[str, ...] = ()
    """Names and addresses by which stations reach the server; none: those of the computer."""
    allow_rekey: bool = False
    products: ProductFiles = field(default_factory=ProductFiles)
    """Files of the products that are served; without one, any chip is."""
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
    log_as_json: bool = False
    """Whether the console has JSON lines."""
    metrics: MetricsAccess | None = None
    """Who gets the metrics; None: there are none."""
    log_level: int | None = None
    """The level of `ProgramLog`."""
    accept_clock: str | None = None
    """Why the clock is right although records are newer; None: it has to be newer than they are."""
    proof_within: timedelta | None = None
    """How long after its issue a certificate may be unproven before the server warns; None: it never warns."""
    crl_validity: timedelta = DEFAULT_VALIDITY
    """How long a list of revoked certificates is valid."""
    crl_from_quota: bool = False
    """Let signers with a quota sign lists by themselves."""
    on_revoked: tuple[str, ...] = ()
    """The command, with its arguments, that is told of each revocation; empty: none is."""
    log_chip: LogChip | None = None
    """The chip that signs the checkpoints; None: a key in the data folder does."""
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    quota_alarm: int = DEFAULT_ALARM
    """Percent of a quota or work order that are left when the server warns; 0: it never warns."""
    require_order: bool = False
    """Issue for work orders only."""
    rates: RequestRates = field(default_factory=RequestRates)
    """How often stations may ask."""

    def __post_init__(self) -> None:
        if not (self.signer_folders or self.modules or self.module_folder or self.scan):
            raise UsageError(
                "No signer is given.",
                advice="Name the folder of a signer with --signer, or a module with --module; --scan finds modules.",
            )
        if self.accept_clock is not None and not self.accept_clock.strip():
            raise UsageError(
                "The reason of --accept-clock is empty.",
                advice="Say why the clock is right, such as --accept-clock 'clock was in local time until today'.",
            )
        for url in (*self.modules, *([self.log_chip.url] if self.log_chip else [])):
            require_device_url(url)
        if self.module_folder is not None:
            _require_module_folder(self.module_folder)
        self._require_safe_network()

    def _require_safe_network(self) -> None:
        if self.tls and self.plain_network:
            raise UsageError("--tls and --plain-network exclude each other.", advice="Leave out --plain-network.")
        if self.tls_names and not self.tls:
            raise UsageError("--tls-name is for connections with TLS.", advice="Add --tls.")
        for name in self.tls_names:
            require_server_name(name)
        if not self.plain_network and not self.tls and not is_loopback(self.bind):
            raise UsageError(
                f"Plain TCP on {self.bind} can be read and changed by everyone on that network.",
                advice="Add --tls, or bind to 127.0.0.1; add --plain-network if the network is yours alone.",
            )


def _require_module_folder(path: Path) -> None:
    advice = "Check --module-folder."
    try:
        if is_folder(path):
            return
    except UsageError as error:
        raise UsageError(error.what, advice=advice, code=error.code) from error
    raise UsageError(f"{path} is not a folder of modules.", advice=advice)
