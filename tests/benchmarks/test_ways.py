"""The cost of an exchange over each HAL that needs no hardware; the virtual bench measures those of a real kernel."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from atcaprov.chip.commands import Opcode
from tests.benchmarks.report import Figure, report
from tests.hal.ways import CdcWay, EmulatorWay, TcpBridgeWay, Way, standing
from tests.support.chips import packet

EXCHANGES = 100
"""They end before the chip's watchdog does."""
READ_BLOCK = packet(Opcode.READ, 0x80)
BLOCK_REPLY_SIZE = 35
WAYS: dict[str, type[Way]] = {"emulator": EmulatorWay, "pty": CdcWay, "tcp": TcpBridgeWay}


@pytest.mark.parametrize("name", WAYS)
def test_exchanges(name: str) -> None:
    with standing(WAYS[name]()) as way, contextlib.closing(way.open()) as hal, carried(way) as sizes:
        hal.wake()
        sizes.clear()
        begin = time.perf_counter()
        for _ in range(EXCHANGES):
            assert len(hal.exchange(READ_BLOCK)) == BLOCK_REPLY_SIZE
        seconds = time.perf_counter() - begin
    size = sum(sizes) / EXCHANGES if sizes else len(READ_BLOCK) + BLOCK_REPLY_SIZE
    assert size >= len(READ_BLOCK) + BLOCK_REPLY_SIZE
    report(
        Figure(f"ways.{name}.exchanges_per_s", EXCHANGES / seconds, "1/s", f"{EXCHANGES} reads of 32 bytes"),
        Figure(f"ways.{name}.bytes_per_exchange", size, "bytes", "both ways"),
    )


@contextlib.contextmanager
def carried(way: Way) -> Iterator[list[int]]:
    """Give the sizes of all that goes to a way's board and comes from it; none where there is no board."""
    sizes: list[int] = []
    board = getattr(way, "board", None)
    if board is not None:
        receive = board.receive_data

        def receive_data(data: bytes) -> bytes:
            answer: bytes = receive(data)
            sizes.extend((len(data), len(answer)))
            return answer

        board.receive_data = receive_data
    yield sizes
