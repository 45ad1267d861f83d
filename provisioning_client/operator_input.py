"""Who starts each board and may quit: an operator at the keyboard, or no one with --auto."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from atcaprov.terminal.console import Console
from atcaprov.terminal.keys import Key

STILL_THERE_SECONDS: Final = 1.0
"""Seconds between two checks that the chip is still there while the program waits for ENTER."""


class Operator(Protocol):
    """Starts boards and may quit."""

    def wants_to_quit(self, seconds: float) -> bool:
        """Wait up to `seconds` and return whether ESC was pressed."""

    def starts(self, still_there: Callable[[], bool]) -> bool:
        """Wait for ENTER, which starts the board, or ESC, which quits; return whether to start.

        Also return True as soon as `still_there`, which is called now and then, returns False: the wait is over.
        """


class KeyboardOperator(Operator):
    """Starts a board at ENTER (or scanned text and ENTER), quits at ESC; what is typed during a run is dropped."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def wants_to_quit(self, seconds: float) -> bool:
        """Wait for ESC or the end of the terminal."""
        press = self._console.read_key(seconds)
        return press is not None and press.key in (Key.ESC, Key.END)

    def starts(self, still_there: Callable[[], bool]) -> bool:
        """Wait for ENTER or ESC, or until the board is taken out."""
        self._console.drop_typed()
        while True:
            press = self._console.read_key(STILL_THERE_SECONDS)
            if press is None and not still_there():
                return True
            if press is not None and press.key in (Key.ENTER, Key.ESC, Key.END):
                return press.key is Key.ENTER


class NoOperator(Operator):
    """Starts every board at once; only a signal ends the program early."""

    def wants_to_quit(self, seconds: float) -> bool:
        """Wait and return False."""
        time.sleep(seconds)
        return False

    def starts(self, still_there: Callable[[], bool]) -> bool:
        """Return True."""
        return True
