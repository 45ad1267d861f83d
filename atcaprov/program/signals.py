"""End a program in order when the system or a service manager says so, or when its terminal is closed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_SIGNAL_EXIT: Final = 128
"""The exit code of a program that a signal ends is this plus the signal's number, by the custom of shells."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let the first SIGTERM or SIGHUP raise SystemExit in the main thread, as Ctrl-C raises KeyboardInterrupt.

    Further ones change nothing: what has to be put in order is put in order. One that was ignored (nohup) stays so.
    Whatever comes of the end on the way out, such as a terminal that takes no more, the exit code is 128 + the number.
    """
    came: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        if not came:
            came.append(number)
            raise SystemExit(_SIGNAL_EXIT + number)

    before = {number: signal.getsignal(number) for number in _SIGNALS} if _in_main_thread() else {}
    caught = {number: handler for number, handler in before.items() if handler is signal.SIG_DFL}
    for number in caught:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in caught.items():
            signal.signal(number, handler)
        if came:
            _say(f"Ended by {signal.Signals(came[0]).name}.")
            raise SystemExit(_SIGNAL_EXIT + came[0])


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _say(text: str) -> None:
    """Say it on standard error; what can't be written goes nowhere, so that Python's own end finds no fault."""
    for stream, last in ((sys.stdout, ""), (sys.stderr, f"{text}\n")):
        try:
            stream.write(last)
            stream.flush()
        except (AttributeError, OSError, ValueError):
            with suppress(AttributeError, OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
