"""The event loop of our programs: the selector loop, on Windows too.

There asyncio's own choice accepts connections by overlapped I/O, and stops doing so for good after a client that resets
its connection before it was accepted, while the program lives on.
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
