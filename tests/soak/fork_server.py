"""Start servers in a tenth of a second: a process that has imported the server and forks it, one after the other.

`python -m tests.soak.fork_server DESCRIPTOR` is that process; `ForkServer` is its other end. Each server gets its fault
before it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.soak import disk_faults, kill_points
from tests.soak.disk_faults import DiskFault, DiskFaultAt
from tests.soak.kill_points import KillAt, Step
from tests.soak.load import PATIENCE, Address, wait_until_ready

Fault = KillAt | DiskFaultAt | None
_MESSAGE_MAX: Final = 65536
_CONSOLE_END: Final = ""


@dataclass
class ForkedServer:
    """A server that runs, or has ended. `lines` is what its console has said."""

    pid: int
    _parent: socket.socket
    _console: int
    lines: list[str] = field(default_factory=list)
    calls: int = 0
    """How many calls wrote to the ledger; known when it has ended by itself."""

    def __post_init__(self) -> None:
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._code: int | None = None

    def address(self) -> Address | None:
        """Return where it listens once it can issue; None if it ends before."""
        with contextlib.suppress(AssertionError), open(os.devnull, "w") as silence:  # noqa: PTH123
            return wait_until_ready(self._said(), silence)
        return None

    def send_signal(self, number: int) -> None:
        """Send it a signal. If it has ended the number is still its own, since its parent has not asked yet."""
        assert self._code is None
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait until it has ended; return its exit code, negative for a signal."""
        if self._code is None:
            self._parent.send(b"wait")
            answer = json.loads(self._parent.recv(_MESSAGE_MAX))
            self._code, self.calls = answer["code"], answer["calls"]
            self._reader.join(PATIENCE)
        return self._code

    def stop(self) -> int:
        """End it in order; return its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> int:
        """Kill it."""
        self.send_signal(signal.SIGKILL)
        return self.ended()

    def said(self) -> str:
        """Return its console."""
        return "\n".join(self.lines)

    def _said(self) -> Iterator[str]:
        while (line := self._queue.get(timeout=PATIENCE)) != _CONSOLE_END:
            yield line

    def _read(self) -> None:
        with open(self._console, encoding="utf-8") as console:  # noqa: PTH123 - a descriptor has no Path
            for line in console:
                self.lines.append(line.rstrip("\n"))
                self._queue.put(line)
        self._queue.put(_CONSOLE_END)


class ForkServer:
    """The other end of the process that forks. One server at a time."""

    def __init__(self, parent: socket.socket) -> None:
        self._parent = parent

    @contextlib.contextmanager
    def running(self, *arguments: object, fault: Fault = None) -> Iterator[ForkedServer]:
        """Start `provisioning-server` on port 0; it is killed at the end if it still runs."""
        reader, writer = os.pipe()
        words = ["--port", "0", *map(str, arguments)]
        request = {"arguments": words, "fault": _as_json(fault)}
        socket.send_fds(self._parent, [json.dumps(request).encode()], [writer])
        os.close(writer)
        server = ForkedServer(json.loads(self._parent.recv(_MESSAGE_MAX))["pid"], self._parent, reader)
        try:
            yield server
        finally:
            if server._code is None:
                server.kill()


@contextlib.contextmanager
def fork_server(environment: Mapping[str, str]) -> Iterator[ForkServer]:
    """Start the process that forks, with an environment; it ends with the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.soak.fork_server", str(theirs.fileno())]
    with (
        ours,
        subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            env=environment,
        ),
    ):
        theirs.close()
        ours.settimeout(PATIENCE)
        try:
            yield ForkServer(ours)
        finally:
            ours.close()  # that ends it


def _as_json(fault: Fault) -> list[Any] | None:
    if isinstance(fault, KillAt):
        return ["kill", fault.step.name, fault.after, fault.at]
    if isinstance(fault, DiskFaultAt):
        return ["disk", fault.fault.name, fault.call]
    return None


def _arm(fault: list[Any] | None) -> None:
    match fault:
        case ["kill", step, after, at]:
            kill_points.arm(KillAt(Step[step], after, at))
        case ["disk", name, call]:
            disk_faults.arm(DiskFaultAt(DiskFault[name], call))
    if not fault or fault[0] != "disk":
        _count_calls()


def _count_calls() -> None:
    with contextlib.suppress(AttributeError):  # without the library no one counts
        disk_faults.arm(None)


def _serve(arguments: Sequence[str], fault: list[Any] | None, console: int, counted: int) -> NoReturn:
    from provisioning_server import cli

    os.dup2(console, 1)
    os.dup2(console, 2)
    os.close(console)
    sys.argv = ["provisioning-server", *arguments]
    code = 99
    _arm(fault)
    try:
        cli.main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        with contextlib.suppress(AttributeError):
            os.write(counted, b"%d" % disk_faults.calls())
        os._exit(code)


def main(descriptor: int) -> None:
    """Fork servers as the other end of the socket asks, until it is closed."""
    import provisioning_server.app
    import provisioning_server.web.page  # noqa: F401 - so that no child has to

    with socket.socket(fileno=descriptor) as parent:
        while True:
            data, (*descriptors,), _, _ = socket.recv_fds(parent, _MESSAGE_MAX, 1)
            if not data:
                return
            (console,) = descriptors
            _one(parent, json.loads(data), console)


def _one(parent: socket.socket, request: dict[str, Any], console: int) -> None:
    counted = os.memfd_create("counted")
    child = os.fork()
    if not child:
        parent.close()
        _serve(request["arguments"], request["fault"], console, counted)
    os.close(console)
    parent.send(json.dumps({"pid": child}).encode())
    if not parent.recv(_MESSAGE_MAX):  # the other end has gone
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        parent.send(json.dumps({"code": code, "calls": int(os.pread(counted, 20, 0) or b"0")}).encode())
    os.close(counted)


if __name__ == "__main__":
    main(int(sys.argv[1]))
