"""The output of the client: events of a station, shown to people (`console_output`) or scripts (`json_output`)."""

from __future__ import annotations

import abc
from collections.abc import Callable

from atcaprov.errors import AtcaProvError
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.provisioning.provision import Provisioned
from atcaprov.stages import Stage, StageStatus

Write = Callable[[str], None]


class Output(abc.ABC):
    """Shows what happens, in the order of the calls."""

    @abc.abstractmethod
    def step_begins(self, text: str) -> None:
        """Show that a step begins, such as `Connecting to localhost:11235`."""

    @abc.abstractmethod
    def step_ends(self, *, good: bool) -> None:
        """Show how the step that began last ended."""

    @abc.abstractmethod
    def escape_hint(self) -> None:
        """Show that ESC quits."""

    @abc.abstractmethod
    def hint(self, error: AtcaProvError) -> None:
        """Show, while waiting for a board or its removal, why it may go unnoticed."""

    @abc.abstractmethod
    def board_found(self, serial_number: bytes, url: str) -> None:
        """Show that a board was found and waits for its start."""

    @abc.abstractmethod
    def run_begins(self, request_id: bytes) -> None:
        """Take the id (16 bytes) of the board's run in the server's records."""

    @abc.abstractmethod
    def server_used(self, server: str, station: str) -> None:
        """Take the server that is asked from now on, and as which station; empty on a plain connection."""

    @abc.abstractmethod
    def server_busy(self, seconds: float, error: AtcaProvError) -> None:
        """Show that a busy server is asked again in so many seconds."""

    @abc.abstractmethod
    def address_changes(self, address: int, url: str) -> None:
        """Show that the chip moves to another I2C address (8-bit form), and its device URL there."""

    @abc.abstractmethod
    def stage(self, stage: Stage, status: StageStatus) -> None:
        """Show the progress of a stage."""

    @abc.abstractmethod
    def board_good(self, result: Provisioned, *, software: bool | None = False) -> None:
        """Show that a board is good, and whether it was only a software chip; None: unknown."""

    @abc.abstractmethod
    def board_failed(self, error: AtcaProvError, *, software: bool | None = False) -> None:
        """Show that a board failed, why, and what to do with it; `software` as in `board_good`."""

    @abc.abstractmethod
    def board_removed(self) -> None:
        """Show that the board was taken out; the wait for the next one follows."""

    @abc.abstractmethod
    def warning(self, error: AtcaProvError) -> None:
        """Show a warning: nothing stops."""

    @abc.abstractmethod
    def report_recorded(self, report: BoardReport, *, proven: bool) -> None:
        """Show that the server has recorded the report on a board, and whether its certificate is proven."""

    @abc.abstractmethod
    def report_passed_over(self, report: BoardReport, error: AtcaProvError) -> None:
        """Show that a report waits because it is not for this server."""

    @abc.abstractmethod
    def reports_wait(self, number: int, error: AtcaProvError) -> None:
        """Show how many reports wait on this station, and why; boards are not affected."""

    @abc.abstractmethod
    def quit(self) -> None:
        """Show that the operator quits."""

    @abc.abstractmethod
    def cannot_begin(self, error: AtcaProvError) -> None:
        """Show the error that prevents the first board. People read it on standard error anyway."""

    @abc.abstractmethod
    def ended(self, good: int, failed: int, *, software: int = 0) -> None:
        """Show the end: how many boards were good or failed, and how many of them were only software chips."""
