"""The client's console for people: the texts of the guide, and our own for failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from atcaprov.errors import AtcaProvError, Board, Code, ServerRejected
from atcaprov.hal.device_url import both_forms
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.provisioning.provision import Provisioned
from atcaprov.stages import Stage, StageStatus
from atcaprov.terminal.printable import folded
from provisioning_client.output import Output, Write

Columns = Callable[[], int | None]
"""Returns the width of the terminal now; None if there is none."""

INDENT: Final = "    "
LABEL_WIDTH: Final = 26
"""Column of the status word on a stage line (Atmel-8970A, 3.3.1)."""

_SOFTWARE: Final[dict[bool | None, str]] = {
    True: f"{INDENT}This is a software chip: no real board was provisioned.\n",
    None: f"{INDENT}This chip is behind a server: it may be a software chip.\n",
    False: "",
}
FATES: Final = {
    Board.GOOD: "The board is good.",
    Board.RETRY: "The board is not lost: it can be tried again.",
    Board.SET_ASIDE: "The board is not lost: set it aside.",
    Board.SCRAP: "The board is scrap: put it in the red bin.",
    Board.UNTOUCHED: "The board was not changed.",
}

_OF_CONNECTIONS: Final = frozenset(
    {
        Code.TLS_REQUIRED,
        Code.STATION_UNKNOWN,
        Code.STATION_REMOVED,
        Code.STATION_EXPIRED,
        Code.SERVER_BUSY,
        Code.SERVER_STOPPING,
    }
)
"""Refusals that may come before the server has read the request, so that its log does not have the id."""


class ConsoleOutput(Output):
    """The texts, columns and order of Atmel-8970A, section 3.3.1; texts for failures are our own."""

    def __init__(self, write: Write, columns: Columns = lambda: None, *, attended: bool = True) -> None:
        """`attended` tells whether keys do something; if not, the texts mention none."""
        self._write = write
        self._attended = attended
        self._found = False
        self._url = ""
        self._columns = columns
        self._step = ""
        self._waiting = ""
        """The line that waits for its status, as it was printed."""
        self._request_id = b""

    def step_begins(self, text: str) -> None:
        """Print the text and three dots; the status follows on the same line."""
        self._step, self._found = text, False
        self._waiting = f"{text}..."
        self._write(self._waiting)

    def step_ends(self, *, good: bool) -> None:
        """Print ok or error and end the line."""
        self._step = self._waiting = ""
        self._write("ok\n" if good else "error\n")

    def escape_hint(self) -> None:
        """Print the hint, if ESC does something."""
        if self._attended:
            self._write("Press ESC to quit.\n")

    def hint(self, error: AtcaProvError) -> None:
        """Print the hint on a line of its own; repeat a waiting line that it interrupts."""
        self._interrupt(str(error), INDENT)

    def board_found(self, serial_number: bytes, url: str) -> None:
        """Print the serial number and the prompt."""
        self._found, self._url = True, url
        prompt = "    Press ENTER to provision...\n" if self._attended else ""
        self._write(f"    Device SN: {serial_number.hex().upper()}\n{prompt}")

    def run_begins(self, request_id: bytes) -> None:
        """Keep the id: it is shown if the server refuses."""
        self._request_id = request_id

    def server_used(self, server: str, station: str) -> None:
        """Print nothing: the connecting line names both, and a warning another server."""

    def server_busy(self, seconds: float, error: AtcaProvError) -> None:
        """Print it on a line of its own; repeat a waiting line that it interrupts."""
        self._interrupt(f"The server is busy and is asked again in {seconds:.1f} s: {error.what}", INDENT)

    def address_changes(self, address: int, url: str) -> None:
        """Print the address and the URL."""
        then = f"use {url} from then on" if url != self._url else f"its device URL stays {url}"
        text = f"This chip moves to I2C address {both_forms(address)} in this run; {then}."
        self._write(self._folded(text, INDENT) + "\n")

    def stage(self, stage: Stage, status: StageStatus) -> None:
        """Print the label, padded with dots, and its status when it ends."""
        label = f"{stage.label:.<{LABEL_WIDTH}}"
        self._waiting = label if status is StageStatus.START else ""
        if status is StageStatus.START:
            self._write(label)
        elif status is StageStatus.SKIPPED:
            self._write(f"{label}{status}\n")
        else:
            self._write(f"{status}\n")

    def board_good(self, result: Provisioned, *, software: bool | None = False) -> None:
        """Print the success line."""
        if result.was_done_before:
            self._write("    This board was done before; it is good.\n")
        self._write(f"{_SOFTWARE[software]}Provisioning successful! Please remove board...\n")

    def board_failed(self, error: AtcaProvError, *, software: bool | None = False) -> None:
        """Print what happened, what to do and, if there is a board, what becomes of it."""
        is_there = self._found or error.code != Code.DEVICE_NOT_FOUND
        lines = [str(error), *self._request_line(error), *([FATES[error.board]] if is_there else [])]
        text = self._folded("\n".join(lines), INDENT)
        last = "Provisioning failed! Please remove board..." if is_there else "Provisioning failed!"
        self._write(f"{text}\n{_SOFTWARE[software]}{last}\n")

    def _request_line(self, error: AtcaProvError) -> list[str]:
        """Return the line by which the supervisor finds the request that the server refused."""
        refused = isinstance(error, ServerRejected) and error.code not in _OF_CONNECTIONS and self._request_id
        return [f"Request {self._request_id.hex()} in the server's log."] if refused else []

    def warning(self, error: AtcaProvError) -> None:
        """Print it on a line of its own; repeat a waiting line that it interrupts."""
        self._interrupt(f"Warning: {error}")

    def report_recorded(self, report: BoardReport, *, proven: bool) -> None:
        """Print a line only for a good board whose certificate is not proven."""
        if report.fate is Board.GOOD and not proven:
            self._line("The server has recorded the board; its certificate is not proven: the chip signed nothing.")

    def report_passed_over(self, report: BoardReport, error: AtcaProvError) -> None:
        """Print that it waits for its own server."""
        chip = report.serial_number.hex().upper()
        self._line(f"The report on chip {chip} waits for another server: this one did not issue its certificate.")

    def reports_wait(self, number: int, error: AtcaProvError) -> None:
        """Print it as one sentence."""
        reports = "1 report waits" if number == 1 else f"{number} reports wait"
        self._line(f"{reports} on this station until the server takes them. Boards are not affected. {error.what}")

    def _line(self, text: str) -> None:
        self._write(self._folded(text, INDENT) + "\n")

    def board_removed(self) -> None:
        """Print the start of the next waiting line."""
        self._write("Board removed. ")

    def ended(self, good: int, failed: int, *, software: int = 0) -> None:
        """Print nothing: the guide's console ends without a word."""

    def quit(self) -> None:
        """End a waiting line, so that the shell prompt starts on a new one."""
        if self._step:
            self._write("\n")

    def cannot_begin(self, error: AtcaProvError) -> None:
        """Print nothing."""

    def _interrupt(self, text: str, indent: str = "") -> None:
        """Print a text on lines of its own, and the line again that waits for its status."""
        lines = self._folded(text, indent)
        self._write(f"\n{lines}\n{self._waiting}" if self._waiting else f"{lines}\n")

    def _folded(self, text: str, indent: str = "") -> str:
        return folded(text, self._columns(), indent)
