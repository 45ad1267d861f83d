"""The server's end of the NBD protocol over a volatile disk, without I/O: bytes in, bytes out.

Fixed newstyle handshake, simple replies. Source: doc/proto.md of the NetworkBlockDevice project ("The NBD protocol").
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from typing import Final

from virtual_bench.volatile_disk import SECTOR, VolatileDisk

_MAGIC: Final = b"NBDMAGIC"
_OPTIONS_MAGIC: Final = b"IHAVEOPT"
_REPLY_MAGIC: Final = 0x3E889045565A9
_REQUEST_MAGIC: Final = 0x25609513
_SIMPLE_REPLY_MAGIC: Final = 0x67446698

_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_HANDSHAKE_FLAGS: Final = _FIXED_NEWSTYLE | _NO_ZEROES
_HAS_FLAGS, _SEND_FLUSH, _SEND_FUA = 1, 4, 8
TRANSMISSION_FLAGS: Final = _HAS_FLAGS | _SEND_FLUSH | _SEND_FUA
"""No TRIM and no WRITE_ZEROES: the client writes zeros then, which are held like all others."""

_OPTION_EXPORT_NAME, _OPTION_ABORT, _OPTION_INFO, _OPTION_GO = 1, 2, 6, 7
_ACK, _INFO, _UNSUPPORTED = 1, 3, 0x80000001
_INFO_EXPORT, _INFO_BLOCK_SIZE = 0, 3
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_FUA: Final = 1
_EINVAL: Final = 22
_PREFERRED_BLOCK: Final = 4096
_LENGTH_MAX: Final = 32 * 1024 * 1024

_OPTION: Final = struct.Struct(">8sII")
_OPTION_REPLY: Final = struct.Struct(">QIII")
_EXPORT: Final = struct.Struct(">HQH")
_BLOCK_SIZE: Final = struct.Struct(">HIII")
_REQUEST: Final = struct.Struct(">IHHQQI")
_REPLY: Final = struct.Struct(">IIQ")


class NbdError(Exception):
    """The client does not keep to the protocol."""


class NbdConnection:
    """One client. `greeting` opens the connection; after `ended` it is to be closed."""

    def __init__(self, disk: VolatileDisk) -> None:
        self._disk = disk
        self._buffer = bytearray()
        self._output = bytearray(_MAGIC + _OPTIONS_MAGIC + struct.pack(">H", _HANDSHAKE_FLAGS))
        self._steps = self._session()
        self._wanted = next(self._steps)
        self.ended = False

    def greeting(self) -> bytes:
        """Return what the server says first."""
        return self._take_output()

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes of the client and return those for it.

        Raises:
            NbdError: they are not of the protocol.
        """
        self._buffer += data
        while not self.ended and len(self._buffer) >= self._wanted:
            taken = bytes(self._buffer[: self._wanted])
            del self._buffer[: self._wanted]
            try:
                self._wanted = self._steps.send(taken)
            except StopIteration:
                self.ended = True
        return self._take_output()

    def _take_output(self) -> bytes:
        data = bytes(self._output)
        self._output.clear()
        return data

    def _session(self) -> Generator[int, bytes, None]:
        """Yield how many bytes are wanted, and get them."""
        (flags,) = struct.unpack(">I", (yield 4))
        if not flags & _FIXED_NEWSTYLE:
            raise NbdError("the client does not know the fixed newstyle handshake")
        if (yield from self._options(no_zeroes=bool(flags & _NO_ZEROES))):
            while (yield from self._request()):
                pass

    def _options(self, *, no_zeroes: bool) -> Generator[int, bytes, bool]:
        """Answer options; return whether requests follow."""
        while True:
            magic, option, length = _OPTION.unpack((yield _OPTION.size))
            if magic != _OPTIONS_MAGIC or length > _LENGTH_MAX:
                raise NbdError("the client sent no option")
            if length:
                yield length
            if option == _OPTION_EXPORT_NAME:
                self._output += struct.pack(">QH", self._disk.size, TRANSMISSION_FLAGS)
                self._output += b"" if no_zeroes else bytes(124)
                return True
            if option in (_OPTION_INFO, _OPTION_GO):
                self._answer_option(option, _INFO, _EXPORT.pack(_INFO_EXPORT, self._disk.size, TRANSMISSION_FLAGS))
                sizes = _BLOCK_SIZE.pack(_INFO_BLOCK_SIZE, SECTOR, _PREFERRED_BLOCK, _LENGTH_MAX)
                self._answer_option(option, _INFO, sizes)
            known = option in (_OPTION_ABORT, _OPTION_INFO, _OPTION_GO)
            self._answer_option(option, _ACK if known else _UNSUPPORTED)
            if option in (_OPTION_ABORT, _OPTION_GO):
                return bool(option == _OPTION_GO)

    def _answer_option(self, option: int, kind: int, data: bytes = b"") -> None:
        self._output += _OPTION_REPLY.pack(_REPLY_MAGIC, option, kind, len(data)) + data

    def _request(self) -> Generator[int, bytes, bool]:
        """Answer one request; return whether more may follow."""
        magic, flags, command, cookie, offset, length = _REQUEST.unpack((yield _REQUEST.size))
        if magic != _REQUEST_MAGIC or length > _LENGTH_MAX:
            raise NbdError("the client sent no request")
        data = (yield length) if command == _WRITE and length else b""
        if command == _DISCONNECT:
            return False
        action = self._action(command, flags, offset, length, data)
        if action is None:
            self._output += _REPLY.pack(_SIMPLE_REPLY_MAGIC, _EINVAL, cookie)
        else:
            self._output += _REPLY.pack(_SIMPLE_REPLY_MAGIC, 0, cookie) + action()
        return True

    def _action(self, command: int, flags: int, offset: int, length: int, data: bytes) -> Callable[[], bytes] | None:
        """Return what does a request and returns the data of its reply; None if the request is not allowed."""
        fits = offset % SECTOR == length % SECTOR == 0 and offset + length <= self._disk.size
        if command == _READ and fits:
            return lambda: self._disk.read(offset, length)
        if command == _WRITE and fits:
            return lambda: self._write(offset, data, durable=bool(flags & _FUA))
        if command == _FLUSH:
            return self._flush
        return None

    def _write(self, offset: int, data: bytes, *, durable: bool) -> bytes:
        self._disk.write(offset, data, durable=durable)
        return b""

    def _flush(self) -> bytes:
        self._disk.flush()
        return b""
