"""The functions that an integrator may replace: the seven of the guide and a few more, with usual defaults."""

from __future__ import annotations

import abc
import time

from atcaprov.device.zones.data_zone import DataZoneWriter
from atcaprov.errors import AtcaProvError
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.stages import Stage, StageStatus
from atcaprov.transparency.ledger_checkpoint import LedgerIdentity


class UserFunctions(abc.ABC):
    """How the library talks to the world (Atmel-8970A, sections 5.3 to 5.5).

    The names are the guide's without their prefix `atcaprov_`. Where the guide returns 0 for success, these return
    normally; any exception ends the stage with ERROR and passes through `provision()` unchanged.
    """

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers that may be asked, by name, in the order of preference; one without a name if there is one."""
        return ("",)

    @property
    def server(self) -> str:
        """The one of `servers` that is asked now."""
        return self.servers[0]

    def use_server(self, server: str) -> None:  # noqa: B027 - there is one
        """Ask this one of `servers` from now on."""

    def known_ledger(self, server: str) -> LedgerIdentity | None:
        """Return the ledger that a server was on when it was asked last, also before this program began, if known.

        A server that cannot be asked now has certified no chip that another server of its ledger does not know.
        """
        return None

    def run_begins(self, request_id: bytes) -> None:  # noqa: B027 - most stations log no ids
        """Handle the begin of a board's run, with the id (16 bytes) that all its requests carry."""

    def unit_name(self, serial_number: bytes) -> str:
        """Return the own name of the unit with this chip (9 bytes), before stage 1; empty if the product has none.

        Called once in a run. Return the same name if the chip comes again. An address may be written in any usual way.
        Raise an AtcaProvError if there is no name for the chip.
        """
        return ""

    def unit_label(self, serial_number: bytes) -> str:
        """Return what is on the label of the unit with this chip (9 bytes), for the server's record; empty if none."""
        return ""

    def wait_for_server(self, seconds: float, reason: AtcaProvError) -> None:
        """Wait before a busy server is asked again; `reason` is its answer. The chip sleeps."""
        time.sleep(seconds)

    def certreq_start(self) -> None:  # noqa: B027 - an open connection needs nothing
        """Get ready to talk to the Provisioning Server: connect, unless the connection is kept.

        Called again without `certreq_done` after an exchange that failed: discard what is left of it.
        """

    @abc.abstractmethod
    def certreq_send(self, data: bytes) -> None:
        """Send all of `data`, opaque bytes, to the server before returning."""

    @abc.abstractmethod
    def certreq_recv(self, expected: int) -> bytes:
        """Return 1 to `expected` bytes from the server; called again until the reply is complete.

        Limit the total time of an exchange: a server that sends byte by byte would block the run without end.
        """

    def certreq_done(self) -> None:  # noqa: B027 - a kept connection needs nothing
        """End this exchange: disconnect, unless the connection is kept."""

    def request_error(self, code: str, message: str) -> None:  # noqa: B027 - the error is raised as well
        """Handle an error that the server reported; it is raised as `ServerRejected` afterwards."""

    @property
    def writes_data_zone(self) -> bool:
        """Whether `write_data_zone` does anything: true for a class that defines its own."""
        return type(self).write_data_zone is not UserFunctions.write_data_zone

    def write_data_zone(self, writer: DataZoneWriter) -> None:  # noqa: B027 - most products write nothing
        """Write the product's own data, besides the certificates, before the data zone is locked."""

    def require_ready(self) -> None:  # noqa: B027 - most stations need nothing
        """Raise an AtcaProvError if the station itself is not ready, such as a disk without room; before each chip."""

    def known_checkpoint(self) -> bytes:
        """Return the newest signed checkpoint of the server's ledger that the station keeps, to show it to the server.

        Called before each time the server is asked for its signer. Empty if there is none; always empty for a server
        that has sent none, since an older one refuses a request with it.
        """
        return b""

    def ledger_seen(self, checkpoint: bytes, log_key: bytes) -> None:  # noqa: B027 - most stations keep none
        """Take the newest signed checkpoint of the server's ledger and its log key, before each chip is touched.

        Both are empty if the server sends none. Raise an AtcaProvError to refuse the server.
        """

    def warning(self, warning: AtcaProvError) -> None:  # noqa: B027 - it stops nothing
        """Handle a warning about a chip, before its first stage; the run continues. Return soon."""

    def report(self, report: BoardReport) -> None:  # noqa: B027 - without it the certificate stays unproven
        """Keep or send the report on a chip whose run has ended, however it ended; its fate is decided.

        Called only if the server wants one. `send_report` sends it; keep it until that succeeds. An exception is logged
        and given to `warning`.
        """

    def address_changes(self, address: int, url: str) -> None:  # noqa: B027 - most products keep the address
        """Handle, before stage 1, a chip that moves to another I2C address (8-bit form); `url` is its device URL there.

        It moves when it next sleeps, even if the run fails. The run follows it.
        """

    def notify(self, stage: Stage, status: StageStatus) -> None:  # noqa: B027 - silence is fine
        """Handle progress: START or SKIPPED first, then DONE or ERROR. The chip is awake: return soon."""
