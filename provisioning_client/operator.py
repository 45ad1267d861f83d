"""Who starts each board: a person at the keyboard, or no one with --auto."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from atcaprov.terminal.console import Console
from atcaprov.terminal.keys import Key

STILL_THERE_SECONDS: Final = 1.0
"""How often the chip is asked whether it is still there while ENTER is waited for."""


class Operator(Protocol):
    """Starts boards and may quit."""

    def wants_to_quit(self, seconds: float) -> bool:
        """Wait up to `seconds` and tell whether ESC was pressed."""

    def starts(self, still_there: Callable[[], bool]) -> bool:
        """Wait for ENTER, which starts the board, or ESC, which quits; tell whether to start.

        Says yes as well when `still_there`, which it asks now and then, says no: there is nothing to wait for.
        """


class KeyboardOperator(Operator):
    """ENTER (or a scanned text and ENTER) starts, ESC quits; what is typed while a board runs is dropped."""

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
    """Every board starts by itself; only a signal ends the session early."""

    def wants_to_quit(self, seconds: float) -> bool:
        """Wait and say no."""
        time.sleep(seconds)
        return False

    def starts(self, still_there: Callable[[], bool]) -> bool:
        """Say yes."""
        return True
