"""Waits for what a program prints: one that never prints it ends in a failure that tells what it printed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen


@contextmanager
def killed_after(process: Popen[str], seconds: float) -> Iterator[None]:
    """Kill a process if the block takes longer, so that whoever reads its output comes to the end of it."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
