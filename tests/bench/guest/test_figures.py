"""What an exchange costs on each way; the figures are those of an emulated processor, some 15 times slower."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.hal.registry import open_hal
from tests.bench.boards import BoardPlan
from tests.bench.machine import OUT_VARIABLE
from tests.bench.plugboard import Plugboard
from tests.bench.ways import Way
from tests.support.chips import packet

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
    _write(way, {"exchanges_per_s": EXCHANGES / seconds, "bytes_per_exchange": carried / EXCHANGES})


def _write(way: Way, figures: dict[str, float]) -> None:
    path = Path(os.environ[OUT_VARIABLE]) / "figures.json"
    known = json.loads(path.read_text()) if path.exists() else []
    known += [{"name": f"bench.{way}.{name}", "value": round(value, 1)} for name, value in figures.items()]
    path.write_text(json.dumps(known, indent=1) + "\n")
    print(f"{way}: " + ", ".join(f"{name} {value:.1f}" for name, value in figures.items()))
