"""Chips behind a TCP port: `tcp://127.0.0.1:5000`, as `atcaprov emulator serve` offers them.

Two protocols: the binary kit bridge of cryptoauthlib, each frame behind its length (16 bits, little-endian), and with
`?protocol=kit` the text lines of the kit protocol.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Final

from atcaprov.errors import Code, ProtocolError, TransportError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.device_url import UrlTarget, at_address, parse_kit_target
from atcaprov.hal.errors import address_taken, gone, silent
from atcaprov.hal.kit.hal import open_kit
from atcaprov.hal.kit.line_port import KitTimeouts, StreamPort
from atcaprov.kit_protocol.bridge import HEADER_SIZE, LARGEST_FRAME, LENGTH_SIZE, SUCCESS, BridgeCommand, header

SCHEME: Final = "tcp"
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PROTOCOLS: Final = ("bridge", "kit")
_CONNECT_SECONDS: Final = 3.0
_READ_SIZE: Final = 1 << 16
_DRAINED_READS: Final = 256
"""Reads discarded at most: more than the buffers of a connection hold."""
_LONGEST_REPLY: Final = 192
_WORD_ADDRESS: Final = b"\xff"
_FIRST_CHIP: Final = 0


class BridgeHal(Hal):
    """One chip behind a kit bridge; connects when needed, and again after an error, so that no late answer arrives.

    `address` is the 8-bit form; 0 is the first chip of the server.
    """

    def __init__(self, host: str, port: int, address: int, limits: KitTimeouts) -> None:
        self.url = f"{SCHEME}://{_shown(host)}:{port}"
        self._endpoint = host, port
        self._address = address
        self._limits = limits
        self._socket: socket.socket | None = None
        self._used = False
        self._woke_once = False
        self._base_url = self.url
        self._next: int | None = None
        """Where the chip will answer once it has slept, 8-bit form."""

    def connect(self) -> None:
        """Connect, if not connected.

        Raises:
            TransportError: no server listens there (code DEVICE_NOT_FOUND).
        """
        if self._socket is None:
            self._socket = _connect(*self._endpoint, self.url)

    def wake(self) -> None:
        """Wake the chip, the first time after putting it to sleep: another program may have left it authorized."""
        self._used = True
        self._wake_where_it_is()
        if not self._woke_once:
            self._ask(BridgeCommand.SLEEP, b"", self._limits.control)
            self._ask(BridgeCommand.WAKE, b"", self._limits.control)
            self._woke_once = True

    def follow(self, address: int) -> str:
        """Look for the chip at another address, too; the first chip of the server needs none."""
        if self._address in (_FIRST_CHIP, address):
            return self.url
        url = at_address(self._base_url, address)
        if self._answers(address):
            raise address_taken(url)
        self._next = address
        return url

    def _answers(self, address: int) -> bool:
        own, self._address = self._address, address
        try:
            self._ask(BridgeCommand.WAKE, b"", self._limits.control)
            self._ask(BridgeCommand.SLEEP, b"", self._limits.control)
        except TransportError as error:
            if error.code != Code.DEVICE_NO_REPLY or self._socket is None:
                raise
            return False
        finally:
            self._address = own
        return True

    def _wake_where_it_is(self) -> None:
        try:
            self._ask(BridgeCommand.WAKE, b"", self._limits.control)
        except TransportError as error:
            if self._next is None or error.code != Code.DEVICE_NO_REPLY or self._socket is None:
                raise
            before, self._address = self._address, self._next
            try:
                self._ask(BridgeCommand.WAKE, b"", self._limits.control)
            except TransportError:
                self._address = before
                raise
            self.url, self._next = at_address(self._base_url, self._address), None

    def idle(self) -> None:
        """Send the chip to idle."""
        self._ask(BridgeCommand.IDLE, b"", self._limits.control)

    def sleep(self) -> None:
        """Send the chip to sleep; an idle one is woken first, since it ignores everything else."""
        self._used = False
        self._wake_where_it_is()
        self._ask(BridgeCommand.SLEEP, b"", self._limits.control)

    def exchange(self, packet: bytes) -> bytes:
        """Send one packet and return its reply."""
        self._ask(BridgeCommand.SEND, _WORD_ADDRESS + packet, self._limits.talk)
        return self._ask(BridgeCommand.RECEIVE, b"\0" + _LONGEST_REPLY.to_bytes(2, "little"), self._limits.talk)

    def close(self) -> None:
        """Send the chip to sleep if it may be awake or idle, and disconnect."""
        try:
            if self._used and self._socket is not None:
                self.sleep()
        except (TransportError, ProtocolError):
            pass  # the server is gone: no chip is left to put to sleep
        finally:
            self._disconnect()

    def _ask(self, command: BridgeCommand, body: bytes, seconds: float) -> bytes:
        self.connect()
        assert self._socket is not None
        frame = header(command, self._address) + body
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(len(frame).to_bytes(LENGTH_SIZE, "little") + frame)
            reply = self._receive_frame(time.monotonic() + seconds, seconds)
        except BaseException as error:
            self._disconnect()
            if isinstance(error, TimeoutError):
                raise silent(self.url, seconds) from error
            if isinstance(error, OSError):
                raise gone(self.url, error) from error
            raise
        return self._data_of(frame, reply)

    def _data_of(self, frame: bytes, reply: bytes) -> bytes:
        if reply[:HEADER_SIZE] != frame[:HEADER_SIZE] or len(reply) <= HEADER_SIZE:
            self._disconnect()
            raise ProtocolError(
                f"{self.url} gave a frame that answers another request.",
                advice="Check that it is the bridge port of 'atcaprov emulator serve'.",
                code=Code.BAD_FRAME,
            )
        if reply[HEADER_SIZE] != SUCCESS:
            raise TransportError(
                f"The chip at {self.url} does not answer (status {reply[HEADER_SIZE]:02X}).",
                advice="Check that the server has a chip at this address.",
                code=Code.DEVICE_NO_REPLY,
            )
        return reply[HEADER_SIZE + 1 :]

    def _receive_frame(self, deadline: float, seconds: float) -> bytes:
        size = int.from_bytes(self._receive(LENGTH_SIZE, deadline, seconds), "little")
        if not HEADER_SIZE < size <= LARGEST_FRAME:
            raise ProtocolError(
                f"{self.url} announced a frame of {size} bytes.",
                advice="Check that it is the bridge port of 'atcaprov emulator serve'.",
                code=Code.BAD_FRAME,
            )
        return self._receive(size, deadline, seconds)

    def _receive(self, size: int, deadline: float, seconds: float) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise silent(self.url, seconds)
            self._socket.settimeout(left)
            part = self._socket.recv(size - len(data))
            if not part:
                raise gone(self.url, "the server has closed it")
            data += part
        return data

    def _disconnect(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


class TcpLinePort(StreamPort):
    """Text lines over a TCP connection."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{SCHEME}://{_shown(host)}:{port}?protocol=kit")
        self._socket = _connect(host, port, self.url)

    def send(self, message: bytes) -> None:
        """Send a message, LF included."""
        try:
            self._socket.settimeout(_CONNECT_SECONDS)
            self._socket.sendall(message)
        except OSError as error:
            raise gone(self.url, error) from error

    def _drain_bytes(self) -> None:
        for _ in range(_DRAINED_READS):
            if not self._read(0):
                return

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def _read(self, seconds: float) -> bytes:
        try:
            self._socket.settimeout(seconds)
            data = self._socket.recv(_READ_SIZE)
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError as error:
            raise gone(self.url, error) from error
        if not data:
            raise gone(self.url, "the server has closed it")
        return data


def open_tcp(rest: str, limits: KitTimeouts | None = None) -> Hal:
    """Open the chip that the part of the URL behind `tcp:` names, such as `//127.0.0.1:5000`.

    Option `protocol` is bridge (default) or kit, `address` the 8-bit address of the chip; without it the bridge takes
    the first chip and kit the only one.

    Raises:
        UsageError: the URL has another form.
        TransportError: no server listens there, or no chip answers.
    """
    protocol, host, port, address = parse_tcp(rest)
    if protocol == "kit":
        return open_kit(f"{host}:{port}", lambda: TcpLinePort(host, port), address, limits)
    hal = BridgeHal(host, port, address or _FIRST_CHIP, limits or KitTimeouts())
    hal.connect()
    return hal


def parse_tcp(rest: str) -> tuple[str, str, int, int | None]:
    """Parse what follows `tcp:`: protocol, host, port and 8-bit address. Nothing is opened.

    Raises:
        UsageError: it has another form.
    """
    target, address = parse_kit_target(SCHEME, rest, options=("protocol",))
    protocol = target.options.get("protocol", _PROTOCOLS[0])
    if protocol not in _PROTOCOLS:
        raise UsageError(f"Unknown protocol '{protocol}'.", advice=f"Choose one of: {', '.join(_PROTOCOLS)}.")
    return protocol, *_endpoint(target, rest), address


def _endpoint(target: UrlTarget, rest: str) -> tuple[str, int]:
    host, _, port = target.name.rpartition(":")
    if not host or not _PORT.fullmatch(port) or not 0 < int(port) <= 0xFFFF:
        raise UsageError(f"'{SCHEME}:{rest}' does not name a host and a port.", advice="Write tcp://127.0.0.1:5000.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _connect(host: str, port: int, url: str) -> socket.socket:
    try:
        connection = socket.create_connection((host, port), _CONNECT_SECONDS)
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error  # a time limit has no strerror
        raise TransportError(
            f"No server listens at {url}: {reason}.",
            advice="Check that the server runs and that the port is right.",
            code=Code.DEVICE_NOT_FOUND,
        ) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
