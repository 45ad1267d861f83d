"""Many clients, many framings, one set of chips: a client that leaves, dies or sends garbage disturbs no other."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from atcaprov import Code, SoftwareChip, TransportError, UsageError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import I2C_ADDRESS
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.timing import VirtualClock
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip, ServedClock
from atcaprov.serving.serve import LOOPBACK, ServeOptions, parse_clock, serve
from tests.support.chips import packet
from tests.support.served_chips import Client, Served, served

_INFO = packet(Opcode.INFO)
_REVISION = bytes.fromhex("07000060028038")
_COUNT = packet(Opcode.COUNTER, 1)
_NOT_THIS_FRAMING = {
    "bridge": b"\0\0",
    "i2c": b"?????",
    "wolfssl": b"\xff",
}


def ask_bridge(client: Client, content: bytes = _INFO, address: int = 0xC0) -> bytes:
    answers = []
    for command, body in ((3, b""), (1, b"\xff" + content), (2, b"\x00\xff\x00"), (4, b"")):
        frame = bytes((2, 0x10 | command, address)) + body
        client.send(len(frame).to_bytes(2, "little") + frame)
        answers.append(client.take(int.from_bytes(client.take(2), "little")))
    return answers[2][4:]


def ask_i2c(client: Client, content: bytes = _INFO) -> bytes:
    for data, address in ((b"\0", 0), (b"\x03" + content, 0x60)):
        client.send(struct.pack("<cBBH", b"W", 0, address, len(data)) + data)
        client.take(1)
    client.send(struct.pack("<cBBH", b"R", 0, 0x60, 7))
    return client.take(8)[1:]


def ask_kit(client: Client, content: bytes = _INFO) -> bytes:
    client.send(b"e:w()\ne:t(" + content.hex().encode() + b")\n")
    client.take_line()
    return bytes.fromhex(client.take_line()[3:-2].decode())


def ask_wolfssl(client: Client, content: bytes = _INFO) -> bytes:
    client.send(b"\0\x03" + content)
    return client.take(7)


_ASK = {"bridge": ask_bridge, "i2c": ask_i2c, "kit": ask_kit, "wolfssl": ask_wolfssl}


def counted(reply: bytes) -> int:
    return int.from_bytes(reply[1:5], "little")


@pytest.mark.parametrize("name", _ASK)
def test_each_port_leads_to_the_chip(server: Served, name: str) -> None:
    with server.client(name) as client:
        assert _ASK[name](client) == _REVISION


def test_all_ports_lead_to_the_same_chip(server: Served) -> None:
    found = []
    for name, ask in _ASK.items():
        with server.client(name) as client:
            found.append(counted(ask(client, _COUNT)))
    assert found == [1, 2, 3, 4]


@pytest.mark.parametrize("name", _NOT_THIS_FRAMING)
def test_garbage_ends_one_connection_and_is_reported(server: Served, name: str) -> None:
    with server.client(name) as good, server.client(name) as bad:
        assert _ASK[name](good) == _REVISION
        bad.send(_NOT_THIS_FRAMING[name])
        assert bad.rest() == b""
        assert _ASK[name](good) == _REVISION
    assert any(line.startswith(f"{name}: ") and "connection is closed" in line for line in server.reported)


@pytest.mark.parametrize("name", _ASK)
def test_client_that_dies_disturbs_no_other(server: Served, name: str) -> None:
    with server.client(name) as good:
        for sent in (b"", b"\x03", b"W\0\x60\xff\xff", b"\x10\0\x02", b"e:t(0730"):
            with server.client(name) as dying:
                dying.send(sent)
                # Closing with unread data and no linger sends a reset, as the end of a killed process may.
                dying.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert _ASK[name](good) == _REVISION


def test_command_takes_effect_though_its_client_disconnects(server: Served) -> None:
    for _ in range(20):
        with server.client("wolfssl") as client:
            client.send(b"\x03" + _COUNT)
            client.connection.shutdown(socket.SHUT_WR)
            client.rest()
    with server.client("wolfssl") as client:
        assert counted(ask_wolfssl(client, _COUNT)) == 21


@pytest.mark.slow
def test_many_clients_at_once_lose_no_command() -> None:
    chips = [SoftwareChip() for _ in range(16)]
    for number, chip in enumerate(chips):
        chip.memory.config[I2C_ADDRESS] = 0x60 + 2 * number
        chip.power_cycle()

    def count_up(chip: SoftwareChip) -> list[int]:
        with server.client("bridge") as client:
            return [counted(ask_bridge(client, _COUNT, chip.i2c_address << 1)) for _ in range(50)]

    with served(*chips) as server, ThreadPoolExecutor(len(chips)) as pool:
        assert list(pool.map(count_up, chips)) == [list(range(1, 51))] * len(chips)


class _FullDisk:
    """A keeper that can no longer save; the chip is put back, as the file store does it."""

    def __init__(self, memory: Memory) -> None:
        self._kept = memory.image()

    def keep(self, memory: Memory) -> None:
        if memory.image() != self._kept:
            memory.restore(self._kept)
            raise UsageError("The chip file chip.json cannot be written: No space left on device.")


def test_unwritable_chip_file_ends_the_connection_only() -> None:
    chip = SoftwareChip()
    chip.keeper = _FullDisk(chip.memory)
    with served(chip) as server:
        with server.client("wolfssl") as client:
            client.send(b"\x03" + _COUNT)
            assert client.rest() == b""
        with server.client("wolfssl") as client:
            assert ask_wolfssl(client) == _REVISION
    assert any("No space left" in line for line in server.reported)


def test_refusals_are_explained_with_chip_and_rule(server: Served, chip: SoftwareChip) -> None:
    with server.client("bridge") as client:
        assert ask_bridge(client, packet(Opcode.GEN_KEY, 4, 0)) == bytes.fromhex("040f2342")
    (line,) = server.reported
    serial = chip.memory.serial.hex().upper()
    assert line.startswith(f"chip {serial} at C0: GenKey (P1 04, P2 0000) refused, 0F: the configuration zone must be")
    assert line.endswith("[LockConfig]")


def test_a_reason_is_never_on_the_wire(server: Served) -> None:
    with server.client("kit") as client:
        assert len(ask_kit(client, packet(Opcode.SIGN, 0x80, 0))) == 4


@pytest.mark.parametrize("content", [b"\x03", b"\x07" + bytes(6), packet(0x99), packet(Opcode.MAC, 0xFF)])
def test_invalid_packet_is_explained_too(server: Served, content: bytes) -> None:
    with server.client("bridge") as client:
        ask_bridge(client, content)
    assert len(server.reported) == 1


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"bridge port {LOOPBACK}:{port}") as caught:
            _serve(ServeOptions(bridge=port))
    assert caught.value.code == Code.PORT_IN_USE
    assert caught.value.what == f"The bridge port {LOOPBACK}:{port} cannot be opened: {os.strerror(errno.EADDRINUSE)}."


def test_ports_that_are_open_are_closed_when_a_later_one_fails() -> None:
    said: list[str] = []
    with socket.create_server((LOOPBACK, 0)) as taken, pytest.raises(TransportError):
        _serve(ServeOptions(bridge=0, i2c=taken.getsockname()[1]), said)
    with socket.create_server((LOOPBACK, int(said[0].rpartition(":")[2]))):
        pass


def test_serving_needs_a_port() -> None:
    with pytest.raises(UsageError, match="No port is given"):
        _serve(ServeOptions())


def _serve(ways: ServeOptions, said: list[str] | None = None) -> None:
    say = (said if said is not None else []).append
    asyncio.run(serve(Buses([ServedChip(SoftwareChip())]), ways, say=say, report=say, stop=asyncio.Event()))


# Clocks


def test_clocks_by_name() -> None:
    assert isinstance(parse_clock("virtual")(), VirtualClock)
    assert isinstance(parse_clock("real")(), ServedClock)
    assert isinstance(parse_clock("2.5")(), ServedClock)
    assert parse_clock("real")() is not parse_clock("real")()


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "nan", "inf", "1e999"])
def test_an_unknown_clock_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Unknown clock"):
        parse_clock(text)


def test_a_served_clock_runs_ahead_where_others_wait() -> None:
    clock = ServedClock(1e-6)
    clock.wait_until(5.0)
    assert clock.now() == 5.0
    assert clock.reached(5.0)
    assert not clock.reached(5.1)
    clock.wait_until(1.0)
    assert clock.now() == 5.0
    assert round(clock.lag(), -5) == 5_000_000


def test_real_time_passes_for_the_client() -> None:
    """Ten commands of 5 ms each: the answers are not there before the chip's time is over."""
    chip = SoftwareChip(clock=ServedClock(1.0))
    with served(chip) as server, server.client("wolfssl") as client:
        start = chip.clock.now()
        for _ in range(10):
            assert ask_wolfssl(client) == _REVISION
        assert chip.clock.now() - start >= 0.05
        assert ServedChip(chip).lag() == 0.0
