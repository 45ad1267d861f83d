"""The first moments of a program, and its last ones: Ctrl-C ends it as at any other time, without a traceback.

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


def start(module: str) -> NoReturn:
    """Import the module of a program, run its `main`, and exit as that says.

    Ctrl-C before `main` has begun ends the process at once with 130: nothing is done or held by then. One after it
    has ended changes nothing.
    """
    heeds_interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeds_interrupts:
        signal.signal(signal.SIGINT, _leaving(INTERRUPTED, b"Interrupted.\n"))
    main = importlib.import_module(module).main
    code = INTERRUPTED
    try:
        if heeds_interrupts:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = _code_of(main)
    except KeyboardInterrupt:
        _tell(b"Interrupted.\n")
    if heeds_interrupts:
        signal.signal(signal.SIGINT, _leaving(code))
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
