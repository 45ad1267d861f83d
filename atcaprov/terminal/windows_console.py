"""Keys of a Windows console, which has to be polled: neither an event loop nor select can wait for it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final, Protocol

from atcaprov.terminal.console import Console
from atcaprov.terminal.keys import Key, KeyPress

_POLL_SECONDS: Final = 0.02
_ESC: Final = "\x1b"
_FUNCTION: Final = "\x00"
"""Precedes the code of a function key or of a key of the numeric pad."""
_ARROW: Final = "\xe0"
"""Precedes the code of an arrow key or its neighbours; it is also the letter a with a grave accent."""
_ARROW_CODES: Final = frozenset("GHIKMOPQRS\x85\x86")


class Keyboard(Protocol):
    """The functions of the module `msvcrt` that are used."""

    def kbhit(self) -> bool:
        """Tell whether an unread key was pressed."""

    def getwch(self) -> str:
        """Return the next UTF-16 code unit without showing it."""


class WindowsConsole(Console):
    """Keys of a console that is polled. What is typed is not shown."""

    def __init__(self, keyboard: Keyboard, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(-1)
        self._keyboard = keyboard
        self._sleep = sleep

    async def keys(self) -> AsyncGenerator[KeyPress, None]:
        """Yield key presses as they come, on the running event loop."""
        while True:
            for press in self._typed():
                yield press
            await asyncio.sleep(_POLL_SECONDS)

    def _read_within(self, seconds: float | None) -> None:
        until = None if seconds is None else time.monotonic() + seconds
        while not (typed := self._typed()) and (until is None or time.monotonic() < until):
            self._sleep(_POLL_SECONDS)
        self._ready += typed

    def _typed(self) -> list[KeyPress]:
        """Return the keys that were pressed. Here no other key begins with ESC, so it needs no waiting time."""
        presses: list[KeyPress] = []
        for number, text in enumerate(self._text().split(_ESC)):
            presses += [KeyPress(Key.ESC)] if number else []
            presses += self._decoder.feed(text.encode(), 0.0)
        return presses

    def _text(self) -> str:
        units: list[str] = []
        while self._keyboard.kbhit():
            unit = self._keyboard.getwch()
            units.append(unit)
            if unit in (_FUNCTION, _ARROW) and self._keyboard.kbhit():
                units.append(self._keyboard.getwch())
                if unit == _FUNCTION or units[-1] in _ARROW_CODES:
                    del units[-2:]
        return "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def console_at(fd: int) -> WindowsConsole | None:
    """Return the console behind a file descriptor, or None. `isatty` does not do: it takes the null device for one."""
    if sys.platform != "win32":
        return None
    import ctypes
    import msvcrt

    mode = ctypes.c_ulong()
    try:
        is_console = ctypes.windll.kernel32.GetConsoleMode(msvcrt.get_osfhandle(fd), ctypes.byref(mode))
    except OSError:
        return None
    return WindowsConsole(msvcrt) if is_console else None
