"""Signals that end a program: while it is imported, while it works, while an event loop runs, and after its end.

No other module sets a handler. A signal that was ignored when the program began (nohup) stays ignored throughout. This
module imports next to nothing: a program needs it before anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

SIGNAL_EXIT: Final = 128
"""The exit code of a program that a signal ends is this plus the signal's number, by the custom of shells."""
INTERRUPTED: Final = SIGNAL_EXIT + signal.SIGINT
ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that end a program; Windows has no SIGHUP."""

_STDERR: Final = 2
_Handler = Callable[[int, FrameType | None], None]


class ProcessEnd:
    """Ends the whole process at a signal, before its work has begun and after it has ended."""

    def __init__(self) -> None:
        self._heeded = [number for number in ENDING if signal.getsignal(number) is _python_default(number)]

    def at_once(self) -> None:
        """From now on a signal ends the process with 128 + its number: there is nothing to finish yet."""
        for number in self._heeded:
            signal.signal(number, _leaving(SIGNAL_EXIT + number, end_text(number)))

    def by_default(self) -> None:
        """From now on signals have Python's usual effect, until the program itself changes that."""
        for number in self._heeded:
            signal.signal(number, _python_default(number))

    def with_code(self, code: int) -> None:
        """From now on a signal ends the process with the exit code that the finished program has chosen."""
        for number in self._heeded:
            signal.signal(number, _leaving(code))


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let the first SIGTERM or SIGHUP raise SystemExit in the main thread, as Ctrl-C raises KeyboardInterrupt.

    Further ones change nothing, so that the program can finish its cleanup. The exit code is 128 + the number even if
    the cleanup fails, such as on a terminal that is closed.
    """
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        if not received:
            received.append(number)
            raise SystemExit(SIGNAL_EXIT + number)

    handled = [number for number in ENDING if number != signal.SIGINT] if _in_main_thread() else []
    caught = [number for number in handled if signal.getsignal(number) is signal.SIG_DFL]
    for number in caught:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)
        if received:
            _flush_with(f"{end_text(received[0])}\n")
            raise SystemExit(SIGNAL_EXIT + received[0])


@contextmanager
def stopped_by_signals(stop: Callable[[], None], *numbers: signal.Signals) -> Iterator[None]:
    """Let the first of the signals (default: all that end a program) call `stop` on the running event loop.

    A second signal ends the process at once. Where a loop cannot catch signals (Windows), they work as elsewhere.
    """
    import asyncio  # a program without a loop does not load it

    loop = asyncio.get_running_loop()

    def first() -> None:
        stop()
        for number in installed:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        installed.clear()

    with _called_on_loop(numbers or ENDING, first) as installed:
        yield


@contextmanager
def called_at_hangup(act: Callable[[], object]) -> Iterator[None]:
    """Let each SIGHUP call `act` on the running event loop: for a service, which has no terminal that could hang up.

    One that was ignored when the program began stays ignored; where there is no SIGHUP (Windows), nothing calls it.
    """
    with _called_on_loop([number for number in ENDING if number.name == "SIGHUP"], act):
        yield


@contextmanager
def _called_on_loop(numbers: Iterable[signal.Signals], act: Callable[[], object]) -> Iterator[list[signal.Signals]]:
    """Let the running event loop call `act` at these signals; yield those that it catches, which are not ignored."""
    import asyncio  # a program without a loop does not load it

    loop = asyncio.get_running_loop()
    installed: list[signal.Signals] = []
    for number in numbers:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, act)
                installed.append(number)
    try:
        yield installed
    finally:
        for number in installed:
            loop.remove_signal_handler(number)


def end_text(number: int) -> str:
    """Return what a program says on standard error when a signal ends it."""
    return "Interrupted." if number == signal.SIGINT else f"Ended by {signal.Signals(number).name}."


def say_unbuffered(text: str) -> None:
    """Write a line to standard error, past Python's buffers; a signal may have come at any moment."""
    with suppress(OSError):  # no one may be listening
        os.write(_STDERR, f"{text}\n".encode())


def _python_default(number: signal.Signals) -> Callable[[int, FrameType | None], object] | signal.Handlers:
    """Return the handler that Python begins with; another one means that the signal is ignored, or someone else's."""
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def _leaving(code: int, text: str = "") -> _Handler:
    def leave(_number: int, _frame: FrameType | None) -> None:
        if text:
            say_unbuffered(text)
        os._exit(code)

    return leave


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _flush_with(last: str) -> None:
    """Flush standard output, and standard error with a last line.

    A stream that cannot be written is redirected to nothing, so that Python's own flush at exit does not fail.
    """
    for stream, text in ((sys.stdout, ""), (sys.stderr, last)):
        try:
            stream.write(text)
            stream.flush()
        except (AttributeError, OSError, ValueError):
            with suppress(AttributeError, OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
