"""The user functions of this program: TCP to the server, progress to the output."""

from __future__ import annotations

from atcaprov.errors import AtcaProvError
from atcaprov.provisioning.tcp_client import TcpClient
from atcaprov.stages import Stage, StageStatus
from provisioning_client.disk_room import DiskRoom
from provisioning_client.output import Output


class ClientFunctions(TcpClient):
    """A TCP client that shows progress on an output."""

    def __init__(self, host: str, port: int, output: Output, room: DiskRoom) -> None:
        super().__init__(host, port)
        self._output = output
        self._room = room

    def require_ready(self) -> None:
        """Check that what the board's run writes has room."""
        self._room.require()

    def warning(self, warning: AtcaProvError) -> None:
        """Show the warning."""
        self._output.warning(warning)

    def notify(self, stage: Stage, status: StageStatus) -> None:
        """Show the progress."""
        self._output.stage(stage, status)

    def address_changes(self, address: int, url: str) -> None:
        """Show where the chip will be found."""
        self._output.address_changes(address, url)
