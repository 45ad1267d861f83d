"""The event loop of our programs: the selector loop, on Windows too.

There asyncio's default loop accepts connections by overlapped I/O. After a client resets its connection before it was
accepted, that loop never accepts another one, although the program runs on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine on a loop of its own, as `asyncio.run`."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(main)
