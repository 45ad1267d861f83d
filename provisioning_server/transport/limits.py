"""The limits that protect the server from clients, each with its default. Rates: `orders/rate_limits`."""

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
    of_one_station: int = 64
    """Always: a station that has been identified gets a further one only in place of its own."""
    refused: int = 64
    """How many further ones at once get the reply that there are too many; beyond these they are cut."""
    handshakes: int = 256
    """TLS handshakes in progress. All stations of a hall may connect at once after the server's start."""
    handshakes_of_one_address: int = 96
    """A station may begin a whole panel of boards at once: more than its `of_one_station`."""
    handshake_bytes: int = 32 * 1024
    """What a client may send until its handshake is done: a hello and a short chain have under 8 KiB."""
    handshake_seconds: float = 10.0
    """From connecting to the end of the TLS handshake."""
    header_seconds: float = 5.0
    """From the first byte of a message to the end of its header."""
    body_seconds: float = 10.0
    """From the end of a header to the last byte of its body."""
    first_message_seconds: float = 60.0
    """From connecting to the first complete message."""
    idle_seconds: float = 8 * 3600.0
    """Between two messages of a client that keeps its connection."""
    write_seconds: float = 30.0
    """For a client to take its reply."""
    refusal_seconds: float = 0.25
    """Until a station that asks too often is told so. Each connection waits for it, so a flood costs little."""
    linger_seconds: float = 2.0
    """For a client that was refused to read why, before the connection is cut."""
    stop_seconds: float = 10.0
    """For what is being signed when the server is stopped."""
