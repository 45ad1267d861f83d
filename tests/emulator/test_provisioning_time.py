"""A run at real chip time, in virtual seconds: what the line waits for the chip, without waiting."""

from __future__ import annotations

import pytest

from atcaprov import Device, EmulatedHal, Profile, Provisioner
from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.timing import WAKE_SECONDS, VirtualClock
from tests.support.in_memory_server import InMemory, MemoryCa


class CountingHal(EmulatedHal):
    """Notes the commands and counts the wakes that really wake."""

    def __init__(self, chip: Chip) -> None:
        super().__init__(chip, "emulator:")
        self.opcodes: list[Opcode] = []
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += bool(self.chip.wake())

    def exchange(self, packet: bytes) -> bytes:
        self.opcodes.append(Opcode(packet[1]))
        return super().exchange(packet)


def test_a_run_takes_the_time_of_its_commands() -> None:
    authority = MemoryCa()
    clock = VirtualClock()
    hal = CountingHal(Chip(clock=clock))
    with Device(hal) as device:
        Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    assert hal.chip.memory.data_locked
    expected = sum(MAX_EXECUTION_MS_M0[opcode] for opcode in hal.opcodes) / 1000 + hal.wakes * WAKE_SECONDS
    assert clock.now() == pytest.approx(expected, abs=2 * WAKE_SECONDS)  # sending to sleep may wake once more
    assert 1.0 < clock.now() < 3.0
