"""Ports for tests that have to know one before anything listens there."""

from __future__ import annotations

import itertools
import os
import socket
from typing import Final

_FIRST: Final = 10_000
_COUNT: Final = 20_000
"""The system gives none of these to a program that asks for any port: it begins at 32768, or at 49152."""
_offsets: Final = itertools.count(os.getpid() * 31)


def unused_port() -> int:
    """Return a port of the loopback interface that nothing uses, and that nothing else is given meanwhile."""
    while True:
        port = _FIRST + next(_offsets) % _COUNT
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
