"""What an exchange costs on each way; the figures are those of an emulated processor, some 15 times slower."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from atcaprov import open_hal
from atcaprov.chip.commands import Opcode
from tests.benchmarks.report import Figure, report
from tests.support.chips import packet
from virtual_bench.boards import BoardPlan
from virtual_bench.machine import FIGURES_FILE, OUT_VARIABLE
from virtual_bench.plugboard import Plugboard
from virtual_bench.ways import Way

EXCHANGES = 100
READ_BLOCK = packet(Opcode.READ, 0x80)
BLOCK_REPLY_SIZE = 35


@pytest.mark.parametrize("way", Way)
def test_exchanges_are_counted(plugboard: Plugboard, way: Way) -> None:
    plugboard.make(BoardPlan("board", way.kind))
    hal = open_hal(way.url(plugboard.plug("board")))
    try:
        hal.wake()
        before, begin = plugboard.carried("board"), time.monotonic()
        for _ in range(EXCHANGES):
            assert len(hal.exchange(READ_BLOCK)) == BLOCK_REPLY_SIZE
        seconds, carried = time.monotonic() - begin, plugboard.carried("board") - before
    finally:
        hal.close()
    assert carried >= EXCHANGES * (len(READ_BLOCK) + BLOCK_REPLY_SIZE)
    note = f"{EXCHANGES} reads of 32 bytes over {way}; an emulated processor"
    report(
        Figure(f"bench.{way}.exchanges_per_s", round(EXCHANGES / seconds, 1), "1/s", note),
        Figure(f"bench.{way}.bytes_per_exchange", round(carried / EXCHANGES, 1), "bytes", "on the USB wire, both ways"),
        path=Path(os.environ[OUT_VARIABLE]) / FIGURES_FILE,
    )
