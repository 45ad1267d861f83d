"""Runs with pauses longer than the chip's watchdog, wherever the world can make one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atcaprov import (
    Board,
    DataZoneWriter,
    Device,
    EmulatedHal,
    Profile,
    Provisioner,
    SoftwareChip,
    Stage,
    StageStatus,
    TransportError,
)
from atcaprov.chip.memory_map import LOCK_VALUE
from atcaprov.emulator.chip import Power
from tests.support.in_memory_server import InMemory, MemoryCa

pytestmark = pytest.mark.slow

PAUSE = 5.0


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


class World:
    """A chip, and a host whose time goes on only in pauses."""

    def __init__(self) -> None:
        self.chip = SoftwareChip()
        self.hal = EmulatedHal(self.chip, "test:")
        self.host_seconds = 0.0

    def open(self) -> Device:
        return Device(self.hal, now=lambda: self.host_seconds)

    def pause(self, *, noticed: bool = True) -> None:
        self.chip.clock.wait_until(self.chip.clock.now() + PAUSE)
        self.host_seconds += PAUSE if noticed else 0.0


class Slow(InMemory):
    """User functions that take their time at one place."""

    def __init__(self, authority: MemoryCa, pause: Callable[[str], None]) -> None:
        super().__init__(authority)
        self.pause = pause

    def certreq_recv(self, expected: int) -> bytes:
        self.pause("certreq_recv")
        return super().certreq_recv(expected)

    def write_data_zone(self, writer: DataZoneWriter) -> None:
        self.pause("write_data_zone")
        writer.write(8, 0, b"one")
        self.pause("write_data_zone")
        writer.write(8, 32, b"two")

    def notify(self, stage: Stage, status: StageStatus) -> None:
        self.pause("notify")


def run(world: World, authority: MemoryCa, pause: Callable[[str], None]) -> None:
    with world.open() as device:
        Provisioner(Profile(), authority.cert_info, Slow(authority, pause)).provision(device)


@pytest.mark.parametrize("place", ["certreq_recv", "write_data_zone", "notify"])
def test_a_user_function_may_take_longer_than_the_watchdog(authority: MemoryCa, place: str) -> None:
    world = World()
    run(world, authority, lambda where: world.pause() if where == place else None)
    assert world.chip.power is Power.ASLEEP
    assert world.chip.memory.config[LOCK_VALUE] == 0
    with world.open() as device:
        assert (device.read_slot(8, 0, 3), device.read_slot(8, 32, 3)) == (b"one", b"two")


def test_chip_sleeps_while_server_or_integrator_works(authority: MemoryCa) -> None:
    world, powers = World(), []
    run(world, authority, lambda where: powers.append((where, world.chip.power)))
    asleep = {where for where, power in powers if power is Power.ASLEEP}
    awake = {where for where, power in powers if power is Power.AWAKE}
    assert asleep >= {"certreq_recv", "write_data_zone"}
    assert "certreq_recv" not in awake


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("place", ["certreq_recv", "write_data_zone", "notify"])
def test_chip_is_asleep_after_any_end_of_a_run(authority: MemoryCa, place: str, error: type[BaseException]) -> None:
    world = World()
    times = iter(range(1000))

    def stop(where: str) -> None:
        if where == place and next(times) == 1:
            raise error

    device = world.open()
    with pytest.raises(error):
        Provisioner(Profile(), authority.cert_info, Slow(authority, stop)).provision(device)
    assert world.chip.power is Power.ASLEEP
    device.close()
    run(world, authority, lambda where: None)


def test_suspended_host_does_not_cost_a_board(authority: MemoryCa) -> None:
    """Its clock stood still meanwhile, so that it takes the chip for awake: reads are repeated, changes are not."""
    failed = []
    for number in range(20):
        world, notices = World(), iter(range(1000))

        def pause(where: str, number: int = number, notices: object = notices, world: World = world) -> None:
            if where == "notify" and next(notices) == number:  # type: ignore[call-overload]
                world.pause(noticed=False)

        try:
            run(world, authority, pause)
        except TransportError as error:
            failed.append(error.board)
            run(world, authority, lambda where: None)
        assert world.chip.power is Power.ASLEEP
    assert 0 < len(failed) < 10
    assert set(failed) == {Board.RETRY}
