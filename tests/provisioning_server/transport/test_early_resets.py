"""Clients that reset their connections before they are accepted leave the server listening, on every system."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import PATIENCE
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

RESETS = 50
LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""Closing resets the connection at once."""


def test_clients_that_reset_before_they_are_accepted_leave_the_server_listening(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    options = ["--signer", str(signer.path), "--data", str(tmp_path / "data"), "--port", "0"]
    command = [sys.executable, "-m", "provisioning_server", *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = _port_of(server)
            for _ in range(RESETS):
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as early:
                    early.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as late:
                late.sendall(b"\xff" * 64)
                with contextlib.suppress(ConnectionError):  # which is an answer, too
                    late.recv(1)
        finally:
            server.terminate()


def _port_of(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"Server listening on 127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise AssertionError("the server did not start")
