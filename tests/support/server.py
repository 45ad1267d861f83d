"""The real Provisioning Server for tests: in a thread of this process, or as the program itself. Port 0, loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from atcaprov.wire.connection import Closed, Connection, Role
from atcaprov.wire.messages import AnyMessage, CertificatesReply
from provisioning_server.app import ProvisioningServer
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.settings import Settings
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer
from provisioning_server.signers.software import SoftwareSigner
from tests.support.programs import killed_after

PATIENCE = 60
"""Seconds after which a test that waits has failed. Nothing depends on how long things take."""
_LISTENING = re.compile(r"Server listening on (.+):(\d+)\.")


class ServerAddress(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


class _ListeningLog(ProgramLog):
    """Find the address in the log line that has it."""

    def __init__(self) -> None:
        super().__init__(None, None)
        self.addresses: queue.Queue[ServerAddress | BaseException] = queue.Queue()

    def info(self, text: str, /) -> None:
        found = _LISTENING.fullmatch(text)
        if found:
            self.addresses.put(ServerAddress(found[1], int(found[2])))


@contextlib.contextmanager
def running_server(signers: Path | Signer | Sequence[Signer], data: Path, **options: Any) -> Iterator[ServerAddress]:
    """Run a server in a thread, with a signer folder or signers; `options` are those of Settings."""
    loaded = (
        [SoftwareSigner.load(signers)]
        if isinstance(signers, Path)
        else list(signers)
        if isinstance(signers, Sequence)
        else [signers]
    )
    settings = Settings((Path("signer"),), data, port=0, **options)
    log = _ListeningLog()
    folder = DataFolder(data, datetime.now())
    server = ProvisioningServer(settings, SignerRegistry(loaded), folder, log, None)
    loop = asyncio.new_event_loop()

    def run() -> None:
        try:
            with folder.locked():  # as the program does: a command then asks the server, and does nothing in place
                loop.run_until_complete(server.run())
        except BaseException as error:
            log.addresses.put(error)
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        address = log.addresses.get(timeout=PATIENCE)
        if isinstance(address, BaseException):
            raise address
        yield address
    finally:
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(server.stop)
        thread.join(PATIENCE)
        log.close()
        assert not thread.is_alive()


@dataclass
class ServerProgram:
    """The program `provisioning-server` as a process, without a terminal."""

    process: subprocess.Popen[str]
    patience: float = PATIENCE
    lines: list[str] = field(default_factory=list)
    errors: str = ""

    def wait_for(self, *texts: str) -> str:
        """Return the next line of its console that contains one of the texts; kill it if none comes."""
        assert self.process.stdout is not None
        with killed_after(self.process, self.patience):
            for line in self.process.stdout:
                self.lines.append(line.rstrip("\n"))
                if any(text in line for text in texts):
                    return self.lines[-1]
        raise AssertionError(f"the server did not say {' or '.join(texts)!r}: {self.said()}")

    def said(self) -> str:
        """Kill it; return all lines of its console, and its errors. May be called again."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.kill()
        self.lines += self.process.stdout.read().splitlines()
        self.errors += self.process.stderr.read()
        return "\n".join(("", *self.lines, self.errors))

    def address(self) -> ServerAddress:
        """Wait until it listens."""
        found = _LISTENING.search(self.wait_for("Server listening on"))
        assert found is not None
        return ServerAddress(found[1], int(found[2]))

    def drain(self) -> threading.Thread:
        """Read the rest of its console in a thread, so that the server never blocks on a full pipe."""
        thread = threading.Thread(target=self.finish, args=(None,))
        thread.start()
        return thread

    def stop(self) -> int:
        """End it with SIGTERM; return its exit code."""
        self.process.terminate()
        return self.finish()

    def finish(self, timeout: float | None = PATIENCE) -> int:
        """Wait until it ends; return its exit code."""
        rest, self.errors = self.process.communicate(timeout=timeout)
        self.lines += rest.splitlines()
        return self.process.returncode


def server_command(*options: object) -> list[str]:
    return [sys.executable, "-m", "provisioning_server", *map(str, options)]


def server_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def server_program(
    *options: object, start: Sequence[str] = (sys.executable, "-m"), patience: float = PATIENCE, **popen: Any
) -> Iterator[ServerProgram]:
    """Start the program with options, on port 0; it is killed at the end if it still runs. `start` runs a package."""
    process = subprocess.Popen(
        [*start, "provisioning_server", "--port", "0", *map(str, options)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=server_environment(),
        **popen,
    )
    with process:
        try:
            yield ServerProgram(process, patience)
        finally:
            process.kill()


class WireClient:
    """A client that speaks the wire protocol and nothing else."""

    def __init__(
        self, address: ServerAddress, patience: float = PATIENCE, connected: socket.socket | None = None
    ) -> None:
        self.socket = connected or socket.create_connection(address, timeout=patience)
        self.connection = Connection(Role.CLIENT)

    def __enter__(self) -> WireClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, message: AnyMessage) -> AnyMessage:
        """Send a request and return the reply."""
        self.send(message)
        return self.receive()

    def certificates(self, message: AnyMessage) -> CertificatesReply:
        """Return the certificates, without the challenge, which is another one each time."""
        reply = self.ask(message)
        assert isinstance(reply, CertificatesReply), reply
        return replace(reply, challenge=b"")

    def send(self, message: AnyMessage) -> None:
        """Send a request."""
        self.socket.sendall(self.connection.send(message))

    def receive(self) -> AnyMessage:
        """Return the next message."""
        while (event := self.connection.next_event()) is None:
            self.connection.receive_data(self.socket.recv(self.connection.bytes_wanted))
        assert not isinstance(event, Closed)
        return event

    def receive_or_ask(self, message: AnyMessage) -> AnyMessage:
        """Send a request to a server that may already have refused the connection; return its message."""
        with contextlib.suppress(OSError):
            self.socket.sendall(self.connection.send(message))
        return self.receive()

    def closed_by_server(self) -> bool:
        """Wait for the server to close, which it has to do without sending more."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
