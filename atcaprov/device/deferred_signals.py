"""Keep Ctrl-C and other signals that end the program out of C callbacks.

A signal that arrives while the C library sleeps would be raised on the first line of the next callback, where ctypes
prints and drops it. Python runs signal handlers in the main thread only, so calls from there are made on another one;
an interrupt waits until the command under way has ended, and is then raised as itself. That thread does not live on in
a forked process, which makes its own.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Result = TypeVar("Result")


def beyond_signals(call: Callable[[], Result]) -> Result:
    """Run `call` where no signal handler can break into it and return its result."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    try:
        future = _worker().submit(call)
    except RuntimeError:  # the interpreter is ending and cannot start threads
        return call()
    try:
        return future.result()
    except BaseException:
        _wait_for_end(future)
        raise


@functools.cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="atcaprov-chip")


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_worker.cache_clear)


def _wait_for_end(future: Future[Result]) -> None:
    # Every HAL has time limits, so this ends; a second signal must not leave a command half sent.
    while not future.done():
        try:
            wait([future])
        except (KeyboardInterrupt, SystemExit):
            continue
