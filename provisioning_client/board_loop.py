"""The loop over boards: wait for a board, provision it, wait for its removal, start over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError, Board, Code, ProvisioningError
from atcaprov.hal.device_url import names_software_chip
from atcaprov.provisioning.provision import Provisioner
from provisioning_client.board_source import BoardSource
from provisioning_client.operator_input import Operator
from provisioning_client.output import Output

POLL_SECONDS: Final = 0.25
_LOG: Final = logging.getLogger(__name__)


def _nothing() -> None:
    """Do nothing after a board."""


class Quit(Exception):  # noqa: N818 - not an error
    """The operator pressed ESC."""


class BoardLoop:
    """Provisions boards until the operator quits, no more boards can come, or `limit` boards are done."""

    def __init__(
        self,
        output: Output,
        boards: BoardSource,
        provisioner: Provisioner,
        operator: Operator,
        limit: int | None,
        after_board: Callable[[], None] = _nothing,
    ) -> None:
        """`after_board` is called when a board's result has been shown, while it is still in the fixture."""
        self.good = 0
        self.errors: list[AtcaProvError] = []
        """The error of each board that failed."""
        self._output = output
        self._boards = boards
        self._provisioner = provisioner
        self._operator = operator
        self._limit = limit
        self._after_board = after_board
        self._software = 0
        self._shown_hint = ""
        """The last hint that was shown during this wait."""

    def run(self) -> None:
        """Run until the end. The exception of a signal passes, after the board is reported and its chip sleeps."""
        try:
            while not self._is_finished():
                self._one_board()
        except Quit:
            self._output.quit()
        finally:
            self._output.ended(self.good, len(self.errors), software=self._software)

    def _is_finished(self) -> bool:
        done = self.good + len(self.errors)
        return self._boards.is_exhausted() or (self._limit is not None and done >= self._limit)

    def _one_board(self) -> None:
        self._output.step_begins("Waiting for board to be connected")
        try:
            with self._wait_for_board() as device:
                self._start(device)
        except _FailedBeforeStart as failure:
            if not self._boards.was_taken_out():
                self._board_failed(failure.error)
        except AtcaProvError as error:
            self._board_failed(error)
        self._after_board()
        if not self._is_finished():
            self._wait_for_removal()
            _LOG.info("Board removed.")
            self._output.board_removed()

    def _wait_for_board(self) -> Device:
        self._shown_hint = ""
        try:
            while (device := self._boards.look()) is None:
                self._tell_hint()
                if self._operator.wants_to_quit(POLL_SECONDS):
                    raise Quit
        except AtcaProvError:
            self._output.step_ends(good=False)
            raise
        self._output.step_ends(good=True)
        return device

    def _start(self, device: Device) -> None:
        serial_number = device.serial_number()
        _LOG.info("Board with chip %s at %s.", serial_number.hex().upper(), device.url)
        self._output.board_found(serial_number, device.url)
        watch = _Watch(device, serial_number)
        if not self._operator.starts(watch.is_there):
            raise Quit
        watch.require_same()
        self._provision(device, serial_number)

    def _provision(self, device: Device, serial_number: bytes) -> None:
        url = device.url
        try:
            result = self._provisioner.provision(device, serial_number)
        except (KeyboardInterrupt, SystemExit):  # a signal
            self._board_failed(
                AtcaProvError(
                    "The run was interrupted between two commands to the chip.",
                    advice="Start the board again: the run continues there.",
                    code=Code.INTERRUPTED,
                    board=Board.RETRY,
                )
            )
            raise
        finally:
            if device.url != url:
                self._boards.follow(device.url)
        self.good += 1
        _LOG.info("Board good%s.", ", as before" if result.was_done_before else "")
        self._output.board_good(result, software=self._counts_as_software())

    def _board_failed(self, error: AtcaProvError) -> None:
        self.errors.append(error)
        _LOG.info("Board failed: %s; board: %s.", error.code, error.board)
        self._output.board_failed(error, software=self._counts_as_software())

    def _counts_as_software(self) -> bool | None:
        """Count a board that is only a software chip; return whether it is one, None if that is unknown."""
        software = names_software_chip(self._boards.url)
        self._software += software is True
        return software

    def _wait_for_removal(self) -> None:
        self._shown_hint = ""
        while not self._boards.is_removed():
            self._tell_hint()
            if self._operator.wants_to_quit(POLL_SECONDS):
                raise Quit

    def _tell_hint(self) -> None:
        hint = self._boards.hint
        if hint is not None and str(hint) != self._shown_hint:
            self._shown_hint = str(hint)
            self._output.hint(hint)


class _FailedBeforeStart(Exception):  # noqa: N818 - carries the error
    """The chip of a board that was not started yet does not answer, or answers wrongly."""

    def __init__(self, error: AtcaProvError) -> None:
        super().__init__(error)
        self.error = error


class _Watch:
    """Checks that the chip of a board that waits for its start is still there. Contacts bounce."""

    def __init__(self, device: Device, serial_number: bytes) -> None:
        self._device = device
        self._serial_number = serial_number
        self._error: AtcaProvError | None = None
        self._is_over = False

    def is_there(self) -> bool:
        """Return False once another chip answers, or after no chip answered twice in a row."""
        try:
            self._is_over = self._device.serial_number() != self._serial_number
            self._error = None
        except AtcaProvError as error:
            self._is_over = self._error is not None
            self._error = error
        return not self._is_over

    def require_same(self) -> None:
        """Check that the same chip is still there before its run begins.

        Raises:
            _FailedBeforeStart: the chip fails, or was exchanged.
        """
        if not self._is_over:
            self._error = None
            self.is_there()
        if self._error is not None:
            raise _FailedBeforeStart(self._error)
        if self._is_over:
            raise _FailedBeforeStart(_exchanged())


def _exchanged() -> ProvisioningError:
    return ProvisioningError(
        "The board was exchanged before its run began.",
        advice="Neither board was changed. Start again with the board that is in the fixture now.",
        board=Board.UNTOUCHED,
    )
