"""The functions that an integrator may replace: the seven of the guide, with defaults that do the usual thing."""

from __future__ import annotations

import abc

from atcaprov.device.zones.data_zone import DataZoneWriter
from atcaprov.errors import AtcaProvError
from atcaprov.stages import Stage, StageStatus


class UserFunctions(abc.ABC):
    """How the library talks to the world (Atmel-8970A, sections 5.3 to 5.5).

    The names are the guide's without their prefix `atcaprov_`. Where the guide returns 0 for success, these return
    normally; any exception ends the stage with ERROR and leaves `provision()` as itself.
    """

    def certreq_start(self) -> None:  # noqa: B027 - an open connection needs nothing
        """Get ready to talk to the Provisioning Server: connect, unless the connection is kept.

        Called again without `certreq_done` after an exchange that failed: what is left of it has to be thrown away.
        """

    @abc.abstractmethod
    def certreq_send(self, data: bytes) -> None:
        """Send all of `data`, opaque bytes, to the server before returning."""

    @abc.abstractmethod
    def certreq_recv(self, expected: int) -> bytes:
        """Return 1 to `expected` bytes from the server; called again until the reply is complete.

        Bound the time of all calls of an exchange together: a server that drips would hold the run without end.
        """

    def certreq_done(self) -> None:  # noqa: B027 - a kept connection needs nothing
        """End the talk with the server for this exchange: disconnect, unless the connection is kept."""

    def request_error(self, code: str, message: str) -> None:  # noqa: B027 - the error is raised as well
        """Hear of an error that the server reported; it is raised as `ServerRejected` afterwards."""

    @property
    def writes_data_zone(self) -> bool:
        """Whether `write_data_zone` does anything: a class of the integrator has its own."""
        return type(self).write_data_zone is not UserFunctions.write_data_zone

    def write_data_zone(self, writer: DataZoneWriter) -> None:  # noqa: B027 - most products write nothing
        """Write what the product wants in its data zone beside the certificates, before the zone is locked."""

    def warning(self, warning: AtcaProvError) -> None:  # noqa: B027 - it stops nothing
        """Hear of what is odd about a chip and stops nothing, before its first stage. Return soon."""

    def address_changes(self, address: int, url: str) -> None:  # noqa: B027 - most products keep the address
        """Hear, before stage 1, that the chip moves to another I2C address (8-bit form), where `url` names it.

        It moves when it sleeps next, also if the run fails. The run goes on with it there.
        """

    def notify(self, stage: Stage, status: StageStatus) -> None:  # noqa: B027 - silence is fine
        """Hear of progress: START or SKIPPED first, then DONE or ERROR. The chip is awake: return soon."""
