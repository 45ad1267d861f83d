"""The entry point of every program: import its module, run its `main`, exit with its code.

A signal ends the program in the same way while it is still being imported, which takes half a second, and after it has
ended. For that this module imports next to nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from signal import SIGINT
from typing import NoReturn

from atcaprov.program.signals import INTERRUPTED, ProcessEnd, end_text, say_unbuffered


def start(module: str) -> NoReturn:
    """Import the module of a program, run its `main`, and exit with its code.

    A signal before `main` has begun ends the process at once with 128 + its number: nothing is done or held by then.
    One after it has ended changes nothing.
    """
    end = ProcessEnd()
    end.at_once()
    main = importlib.import_module(module).main
    code = INTERRUPTED
    try:
        end.by_default()
        code = _code_of(main)
    except KeyboardInterrupt:
        say_unbuffered(end_text(SIGINT))
    end.with_code(code)
    raise SystemExit(code)


def _code_of(main: Callable[[], int]) -> int:
    try:
        return main()
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        raise
