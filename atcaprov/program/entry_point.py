"""The first moments of a program, and its last ones: Ctrl-C, SIGTERM and SIGHUP end it as at any other time.

This module imports next to nothing: what a program needs takes half a second to import, and an interrupt there can
arise in code that has no care for it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

INTERRUPTED: Final = 130
_STDERR: Final = 2
_SIGNAL_EXIT: Final = 128
_NORMAL: Final = {
    getattr(signal, name): handler
    for name, handler in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    )
    if hasattr(signal, name)
}
"""The handlers that Python begins with; a signal with another one is ignored (nohup), or somebody else's."""


def start(module: str) -> NoReturn:
    """Import the module of a program, run its `main`, and exit as that says.

    A signal before `main` has begun ends the process at once with 128 + its number: nothing is done or held by then.
    One after it has ended changes nothing.
    """
    heeded = [number for number, handler in _NORMAL.items() if signal.getsignal(number) is handler]
    for number in heeded:
        words = "Interrupted." if number == signal.SIGINT else f"Ended by {number.name}."
        signal.signal(number, _leaving(_SIGNAL_EXIT + number, f"{words}\n".encode()))
    main = importlib.import_module(module).main
    code = INTERRUPTED
    try:
        for number in heeded:
            signal.signal(number, _NORMAL[number])
        code = _code_of(main)
    except KeyboardInterrupt:
        _tell(b"Interrupted.\n")
    for number in heeded:
        signal.signal(number, _leaving(code))
    raise SystemExit(code)


def _code_of(main: Callable[[], int]) -> int:
    try:
        return main()
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        raise


def _leaving(code: int, words: bytes = b"") -> Callable[[int, FrameType | None], None]:
    def leave(_number: int, _frame: FrameType | None) -> None:
        _tell(words)
        os._exit(code)

    return leave


def _tell(words: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody may be listening
        os.write(_STDERR, words)
