"""The chip's status bytes as errors: the only place where a status becomes an exception."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Status
from atcaprov.errors import Board, DeviceError

_MEANINGS: Final[dict[int, tuple[str, str, Board]]] = {
    Status.MISMATCH: ("the values do not match", "", Board.RETRY),
    Status.PARSE_ERROR: (
        "it does not know the command or a parameter of it",
        "Check that this is the chip type that the product's configuration is made for.",
        Board.RETRY,
    ),
    Status.ECC_FAULT: ("its elliptic-curve computation failed", "Try again.", Board.RETRY),
    Status.SELF_TEST_ERROR: ("its self test has failed", "The chip is damaged. Use another one.", Board.SCRAP),
    Status.HEALTH_TEST_ERROR: (
        "its random number generator failed a health test",
        "Try again; if it happens twice, put the board in the red bin.",
        Board.RETRY,
    ),
    Status.EXECUTION_ERROR: (
        "the command is not allowed in the chip's present state or by its configuration",
        "",
        Board.RETRY,
    ),
    Status.WATCHDOG: ("its watchdog was about to expire", "Try again.", Board.RETRY),
    Status.CRC_ERROR: ("the command arrived damaged", "Check the contact of the board and try again.", Board.RETRY),
}


def refusal(command: str, status: int) -> DeviceError:
    """Return the error for a refusal: the command's name, such as `GenKey` or `Wake`, and the `status` byte."""
    meaning, advice, board = _MEANINGS.get(status, ("it returned an undocumented status", "", Board.RETRY))
    return DeviceError(
        f"The chip refused {command}: {meaning} (status {status:02X}).",
        command=command,
        status=status,
        advice=advice,
        board=board,
    )
