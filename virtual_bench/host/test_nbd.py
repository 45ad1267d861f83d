"""The NBD server by the bytes of the protocol's document; QEMU is its client in the power cuts."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from virtual_bench.nbd import NbdConnection, NbdError
from virtual_bench.nbd_server import served_disk
from virtual_bench.volatile_disk import SECTOR, Loss, VolatileDisk

SIZE = 64 * SECTOR
HELLO = bytes.fromhex("4e42444d41474943 49484156454f5054 0003")
FLAGS = bytes.fromhex("00000003")
GO = bytes.fromhex("49484156454f5054 00000007 00000006 00000000 0000")
GO_ANSWER = bytes.fromhex(
    "0003e889045565a9 00000007 00000003 0000000c 0000 0000000000008000 000d"
    "0003e889045565a9 00000007 00000003 0000000e 0003 00000200 00001000 02000000"
    "0003e889045565a9 00000007 00000001 00000000"
)
STRUCTURED_REPLIES = bytes.fromhex("49484156454f5054 00000008 00000000")
UNSUPPORTED = bytes.fromhex("0003e889045565a9 00000008 80000001 00000000")
READ, WRITE, DISCONNECT, FLUSH, TRIM = range(5)
FUA = 1


def _request(command: int, offset: int = 0, length: int = 0, data: bytes = b"", *, flags: int = 0) -> bytes:
    return struct.pack(">IHHQQI", 0x25609513, flags, command, 77, offset, length or len(data)) + data


def _reply(error: int = 0, data: bytes = b"") -> bytes:
    return struct.pack(">IIQ", 0x67446698, error, 77) + data


@pytest.fixture
def disk() -> VolatileDisk:
    return VolatileDisk(bytes(SIZE))


@pytest.fixture
def connection(disk: VolatileDisk) -> NbdConnection:
    opened = NbdConnection(disk)
    assert opened.greeting() == HELLO
    assert opened.receive_data(FLAGS + GO) == GO_ANSWER
    return opened


def test_the_handshake_comes_byte_by_byte(disk: VolatileDisk) -> None:
    connection = NbdConnection(disk)
    said = connection.greeting()
    for byte in FLAGS + STRUCTURED_REPLIES + GO:
        said += connection.receive_data(bytes([byte]))
    assert said == HELLO + UNSUPPORTED + GO_ANSWER


def test_the_old_way_to_choose_an_export(disk: VolatileDisk) -> None:
    connection = NbdConnection(disk)
    connection.greeting()
    name = bytes.fromhex("49484156454f5054 00000001 00000000")
    assert connection.receive_data(bytes.fromhex("00000001") + name) == struct.pack(">QH", SIZE, 13) + bytes(124)
    assert connection.receive_data(_request(READ, 0, SECTOR)) == _reply(data=bytes(SECTOR))


def test_writes_are_read_and_held_until_a_flush(disk: VolatileDisk, connection: NbdConnection) -> None:
    data = bytes(range(256)) * 4
    assert connection.receive_data(_request(WRITE, SECTOR, data=data)) == _reply()
    assert connection.receive_data(_request(READ, SECTOR, len(data))) == _reply(data=data)
    assert disk.at_cut().after_cut(Loss.ALL, Random(1)) == bytes(SIZE)
    assert connection.receive_data(_request(FLUSH)) == _reply()
    assert disk.at_cut().after_cut(Loss.ALL, Random(1))[SECTOR : 3 * SECTOR] == data


def test_forced_writes_are_not_held(disk: VolatileDisk, connection: NbdConnection) -> None:
    assert connection.receive_data(_request(WRITE, 0, data=b"x" * SECTOR, flags=FUA)) == _reply()
    assert disk.at_cut().after_cut(Loss.ALL, Random(1))[:SECTOR] == b"x" * SECTOR


@pytest.mark.parametrize(
    "request_bytes",
    [
        _request(READ, SIZE, SECTOR),
        _request(READ, 1, SECTOR),
        _request(WRITE, 0, data=b"abc"),
        _request(TRIM, 0, SECTOR),
    ],
    ids=["past the end", "within a sector", "part of a sector", "a command that is not offered"],
)
def test_requests_that_are_not_allowed_get_an_error(connection: NbdConnection, request_bytes: bytes) -> None:
    assert connection.receive_data(request_bytes) == _reply(22)
    assert connection.receive_data(_request(READ, 0, SECTOR)) == _reply(data=bytes(SECTOR))


def test_a_client_leaves(connection: NbdConnection) -> None:
    assert connection.receive_data(_request(DISCONNECT)) == b""
    assert connection.ended


@pytest.mark.parametrize("data", [bytes(4), FLAGS + bytes(16), FLAGS + GO + bytes(28)])
def test_garbage_ends_in_one_error(disk: VolatileDisk, data: bytes) -> None:
    connection = NbdConnection(disk)
    with pytest.raises(NbdError):
        connection.receive_data(data)


@pytest.fixture
def client(disk: VolatileDisk, tmp_path: Path) -> Iterator[socket.socket]:
    path = tmp_path / "disk"
    with served_disk(disk, path), socket.socket(socket.AF_UNIX) as connected:
        connected.connect(str(path))
        yield connected
    assert not path.exists()


def test_a_disk_is_served_at_a_socket(client: socket.socket) -> None:
    with client.makefile("rb") as answers:
        client.sendall(FLAGS + GO + _request(READ, 0, SECTOR))
        expected = HELLO + GO_ANSWER + _reply(data=bytes(SECTOR))
        assert answers.read(len(expected)) == expected
