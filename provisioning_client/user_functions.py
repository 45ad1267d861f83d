"""The user functions of this program: TCP to the server, progress to the output."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from atcaprov.errors import AtcaProvError
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.stages import Stage, StageStatus
from atcaprov.transparency.verifier_keys import VerifierKey
from provisioning_client.checkpoint_client import CheckpointClient
from provisioning_client.disk_room import DiskRoom
from provisioning_client.output import Output
from provisioning_client.report_spool import ReportSpool


class ClientFunctions(CheckpointClient):
    """A TCP client that shows progress on an output, and keeps reports until they are delivered."""

    def __init__(
        self,
        servers: Iterable[str],
        output: Output,
        room: DiskRoom,
        spool: ReportSpool,
        *,
        checkpoints: Path | None = None,
        log_key: VerifierKey | None = None,
    ) -> None:
        super().__init__(servers, checkpoints, log_key)
        self._output = output
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

    def notify(self, stage: Stage, status: StageStatus) -> None:
        """Show the progress."""
        self._output.stage(stage, status)

    def address_changes(self, address: int, url: str) -> None:
        """Show where the chip will be found."""
        self._output.address_changes(address, url)
