"""The file of a kept chip survives a kill at any moment: it is whole, and it has every command that was answered."""

from __future__ import annotations

import os
import random
import select
import signal
from pathlib import Path

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.counters import read_counter
from atcaprov.hal.emulated import open_emulated
from tests.support.chips import packet, reply_body

pytestmark = pytest.mark.slow

TRIALS = 200


def count_until_killed(path: Path, answers: int) -> None:
    """Advance Counter 1 and tell each answer, until the process is killed."""
    hal = open_emulated(str(path))
    while True:
        hal.idle()
        hal.wake()
        os.write(answers, reply_body(hal.exchange(packet(Opcode.COUNTER, 1, 1))))


def kill_while_counting(path: Path, answers_first: int) -> int:
    """Kill a counting process after some answers and a moment more; return the last count that it told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child never returns
        os.close(reader)
        try:
            count_until_killed(path, writer)
        finally:
            os._exit(1)
    os.close(writer)
    told = b""
    while len(told) < 4 * answers_first:
        answer = os.read(reader, 4)
        assert answer, "the counting process has ended by itself"
        told += answer
    select.select([], [], [], random.random() / 1000)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while rest := os.read(reader, 4096):
        told += rest
    os.close(reader)
    return int.from_bytes(told[-4:], "little")


def count_in(path: Path) -> int:
    """Return Counter 1 of the chip in a file, and give the file back to the next process."""
    hal = open_emulated(str(path))
    try:
        return read_counter(hal.chip.memory, 1)
    finally:
        hal.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "chip.json"
    last = 0
    for _ in range(TRIALS):
        told = kill_while_counting(path, random.randrange(1, 4))
        kept = count_in(path)
        assert kept - told in (0, 1), "an answered count is in the file; one more may be"
        assert kept > last
        last = kept
