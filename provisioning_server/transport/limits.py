"""The limits that protect the server from clients."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds for connections; times in seconds."""

    connections: int = 384 if sys.platform == "win32" else 512
    """Windows can wait for 512 sockets in all: those of the web page and of clients that are refused, too."""
    of_one_address: int = 256
    """When three quarters of them are taken; see `connection_table`."""
    refused: int = 64
    """How many further ones at once get the reply that there are too many; beyond these they are cut."""
    message_seconds: float = 10.0
    """From the first byte of a message to its last."""
    first_message_seconds: float = 60.0
    """From connecting to the first complete message."""
    idle_seconds: float = 8 * 3600.0
    """Between two messages of a client that keeps its connection."""
    write_seconds: float = 30.0
    """For a client to take its reply."""
    linger_seconds: float = 2.0
    """For a client that was refused to read why, before the connection is cut."""
    stop_seconds: float = 10.0
    """For what is being signed when the server is stopped."""
