"""The user functions of this program: TCP to the server, progress to the output."""

from __future__ import annotations

from pathlib import Path

from atcaprov.errors import AtcaProvError
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.provisioning.server_access import ServerAccess
from atcaprov.stages import Stage, StageStatus
from atcaprov.transparency.verifier_keys import VerifierKey
from provisioning_client.checkpoint_client import CheckpointClient
from provisioning_client.disk_room import DiskRoom
from provisioning_client.output import Output
from provisioning_client.report_spool import ReportSpool
from provisioning_client.unit_names import UnitNames


class ClientFunctions(CheckpointClient):
    """A TCP client that shows progress on an output, and keeps reports until they are delivered."""

    def __init__(
        self,
        access: ServerAccess,
        output: Output,
        room: DiskRoom,
        spool: ReportSpool,
        *,
        checkpoints: Path | None = None,
        log_key: VerifierKey | None = None,
        label: str = "",
        unit: str = "",
        units: UnitNames | None = None,
    ) -> None:
        """`unit` is the name of the one board of a run; `units` are those of its boards, which it keeps and closes."""
        super().__init__(access, checkpoints, log_key)
        self._output = output
        self._label = label
        self._unit = unit
        self._units = units
        self._room = room
        self._spool = spool

    def require_ready(self) -> None:
        """Check that what the board's run writes has room."""
        self._room.require()
        self._spool.require_ready()

    def report(self, report: BoardReport) -> None:
        """Keep the report on this station; it is sent after the board is shown."""
        self._spool.keep(report)

    def warning(self, warning: AtcaProvError) -> None:
        """Show the warning."""
        self._output.warning(warning)

    def run_begins(self, request_id: bytes) -> None:
        """Keep the id, and which server is asked."""
        self._output.run_begins(request_id)
        self._output.server_used(self.server, self.station)

    def use_server(self, server: str) -> None:
        """Use another server from now on."""
        super().use_server(server)
        self._output.server_used(server, self.station)

    def unit_label(self, serial_number: bytes) -> str:
        """Return the label that was given for the board."""
        return self._label

    def unit_name(self, serial_number: bytes) -> str:
        """Return the name of the unit with this chip."""
        return self._unit if self._units is None else self._units.name_for(serial_number)

    def wait_for_server(self, seconds: float, reason: AtcaProvError) -> None:
        """Show that the server is busy, and wait."""
        self._output.server_busy(seconds, reason)
        super().wait_for_server(seconds, reason)

    def notify(self, stage: Stage, status: StageStatus) -> None:
        """Show the progress; before the server is asked for a certificate, write down whose the unit's name is."""
        if self._units is not None and (stage, status) == (Stage.CERTS_REQUEST, StageStatus.START):
            self._units.keep()
        self._output.stage(stage, status)

    def close(self) -> None:
        """Close the connection and the file of names."""
        super().close()
        if self._units is not None:
            self._units.close()
            self._units = None

    def address_changes(self, address: int, url: str) -> None:
        """Show where the chip will be found."""
        self._output.address_changes(address, url)
