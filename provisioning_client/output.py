"""What happens at a station, as the client tells it: to a person (`console_output`) or to a script (`json_output`)."""

from __future__ import annotations

import abc
from collections.abc import Callable

from atcaprov.errors import AtcaProvError
from atcaprov.provisioning.provision import Provisioned
from atcaprov.stages import Stage, StageStatus

Write = Callable[[str], None]


class Output(abc.ABC):
    """Hears everything that happens in a session, in order."""

    @abc.abstractmethod
    def step_begins(self, text: str) -> None:
        """Tell that an opening step begins, such as `Connecting to localhost:11235`."""

    @abc.abstractmethod
    def step_ends(self, *, good: bool) -> None:
        """Tell how the opening step that began last ended."""

    @abc.abstractmethod
    def escape_hint(self) -> None:
        """Tell that ESC quits."""

    @abc.abstractmethod
    def hint(self, error: AtcaProvError) -> None:
        """Tell, while a board or its removal is waited for, why that may not be seen."""

    @abc.abstractmethod
    def board_found(self, serial_number: bytes, url: str) -> None:
        """Tell that a board is there and waits for its start."""

    @abc.abstractmethod
    def address_changes(self, address: int, url: str) -> None:
        """Tell that the chip moves to another I2C address, 8-bit form, and its device URL there."""

    @abc.abstractmethod
    def stage(self, stage: Stage, status: StageStatus) -> None:
        """Tell of the progress of a stage."""

    @abc.abstractmethod
    def board_good(self, result: Provisioned, *, software: bool | None = False) -> None:
        """Tell that a board is done, and whether it was only a software chip; None: not known."""

    @abc.abstractmethod
    def board_failed(self, error: AtcaProvError, *, software: bool | None = False) -> None:
        """Tell that a board failed, why, and what to do with it; `software` as in `board_good`."""

    @abc.abstractmethod
    def board_removed(self) -> None:
        """Tell that the board is gone and the next one is waited for."""

    @abc.abstractmethod
    def warning(self, error: AtcaProvError) -> None:
        """Tell of something that stops nothing."""

    @abc.abstractmethod
    def quit(self) -> None:
        """Tell that ESC was pressed."""

    @abc.abstractmethod
    def cannot_begin(self, error: AtcaProvError) -> None:
        """Tell that no session begins; people read the error on standard error anyway."""

    @abc.abstractmethod
    def ended(self, good: int, failed: int, *, software: int = 0) -> None:
        """Tell that the session ends, how many boards it had, and how many of them were only software chips."""
