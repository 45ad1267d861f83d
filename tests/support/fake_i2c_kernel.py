"""A fake kernel for programs that open `/dev/i2c-N`: it gets the C library's calls and returns the errors a test wants.

`fake_i2c_kernel.c` has to be preloaded into the process; `preloaded()` gives its environment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from atcaprov import TransportError
from tests.support.system_programs import require_program

SOCKET_VARIABLE: Final = "I2C_KERNEL"
_SOURCE: Final = Path(__file__).with_name("fake_i2c_kernel.c")
_REQUEST: Final = struct.Struct("<cI")
_ANSWER: Final = struct.Struct("<iI")


class FakeBus(Protocol):
    """The devices on the bus; addresses have 7 bits; an empty read means that no device acknowledged."""

    def write(self, address: int, data: bytes) -> bool: ...

    def read(self, address: int, count: int) -> bytes: ...


def preloaded(folder: Path) -> dict[str, str]:
    """Build the library in `folder`; return the environment of a process that finds fake I2C device files."""
    library = folder / "i2c_kernel.so"
    command = (require_program("gcc"), "-Wall", "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE))
    subprocess.run(command, check=True)
    return {**os.environ, "LD_PRELOAD": str(library), SOCKET_VARIABLE: str(folder / "kernel")}


class FakeI2cKernel:
    """The other end of the preloaded library: logs the calls and answers them, in threads of the same process."""

    def __init__(self) -> None:
        self.bus: FakeBus | None = None
        self.errors: dict[str, int] = {}
        """Error number by call: open, ioctl, write, read."""
        self.calls: list[tuple[Any, ...]] = []
        self.open_files = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.environ[SOCKET_VARIABLE])
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Forget calls, errors and the bus."""
        self.bus = None
        self.errors = {}
        self.calls = []

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        file = _OpenFile(self)
        with connection, connection.makefile("rb") as requests:
            while header := requests.read(_REQUEST.size):
                kind, number = _REQUEST.unpack(header)
                body = requests.read(number) if kind in (b"o", b"w") else b""
                error, count, data = file.handle(kind, number, body)
                connection.sendall(_ANSWER.pack(error, count) + data)


class _OpenFile:
    def __init__(self, kernel: FakeI2cKernel) -> None:
        self._kernel = kernel
        self._address = 0

    def handle(self, kind: bytes, number: int, body: bytes) -> tuple[int, int, bytes]:
        """Return error number, count and data."""
        try:
            data = self._do(kind, number, body)
        except OSError as error:
            return error.errno or errno.EIO, 0, b""
        except TransportError:
            return errno.ENODEV, 0, b""
        return 0, number if kind in (b"w", b"r") else 0, data

    def _do(self, kind: bytes, number: int, body: bytes) -> bytes:
        kernel = self._kernel
        if kind == b"o":
            self._enter("open", body.decode())
            kernel.open_files += 1
        elif kind == b"i":
            self._enter("ioctl", number)
            self._address = number
        elif kind == b"w":
            self._enter("write", body)
            _require_acknowledged(kernel.bus is None or kernel.bus.write(self._address, body))
        elif kind == b"r":
            self._enter("read", number)
            data = bytes(number) if kernel.bus is None else kernel.bus.read(self._address, number)
            _require_acknowledged(bool(data))
            return data.ljust(number, b"\xff")
        else:
            kernel.open_files -= 1
        return b""

    def _enter(self, name: str, argument: Any) -> None:
        self._kernel.calls.append((name, argument))
        if name in self._kernel.errors:
            raise OSError(self._kernel.errors[name], "played")
        if name == "open" and getattr(self._kernel.bus, "unplugged", False):
            raise OSError(errno.ENOENT, "played")


def _require_acknowledged(acknowledged: bool) -> None:
    if not acknowledged:
        raise OSError(errno.ENXIO, "played")


@contextlib.contextmanager
def played(kernel: FakeI2cKernel) -> Iterator[FakeI2cKernel]:
    """Yield a kernel that remembers nothing of the last test; check at the end that all its files are closed."""
    kernel.reset()
    yield kernel
    assert kernel.open_files == 0
