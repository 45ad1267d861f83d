"""A chip whose configuration moves it to another I2C address in the middle of its run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from atcaprov import (
    Allow,
    AtcaProvError,
    Board,
    Code,
    Device,
    Hal,
    Profile,
    Provisioner,
    SoftwareChip,
    Stage,
    StageStatus,
    TransportError,
)
from atcaprov.chip.memory_map import LOCK_VALUE, LOCKED
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.emulator.chip import Power
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.kit.cdc import open_kit_cdc
from atcaprov.hal.kit.hid import open_kit_hid
from atcaprov.hal.tcp import open_tcp
from atcaprov.kit_protocol.firmware import FIRMWARES, PARSER3, KitFirmware
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from atcaprov.serving.bridge import BridgeSession
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip
from provisioning_client.board_presence import Fixture
from tests.hal.ways import (
    SHORT,
    CdcWay,
    EmulatorWay,
    FakeI2cBus,
    HidWay,
    I2cWay,
    TcpBridgeWay,
    TcpKitWay,
    Way,
    standing,
)
from tests.support.fake_hid import FakeHid
from tests.support.faulty_board import FaultyBoard
from tests.support.in_memory_server import InMemory, MemoryCa, unreachable
from tests.support.kit_chips import EmulatedBus
from tests.support.pty_and_tcp_boards import PtyBoard, TcpBoard

pytestmark = pytest.mark.slow

MOVED = Profile(config_zone=DEFAULT_608A[:16] + b"\x6a" + DEFAULT_608A[17:], allow=frozenset({Allow.I2C_ADDRESS}))
BY_EXTRA = Profile(
    config_zone=DEFAULT_608A[:19] + b"\x01" + DEFAULT_608A[20:85] + b"\x6a" + DEFAULT_608A[86:],
    allow=frozenset({Allow.I2C_ADDRESS}),
)


class Moving(EmulatedBus):
    """A board whose chip answers where its configuration says."""

    def __init__(self, way: Way) -> None:
        super().__init__({})
        self._way = way

    def addresses(self) -> Sequence[int]:
        self.chips = {self._way.chip.i2c_address << 1: self._way.chip}
        return super().addresses()

    def wake(self, address: int) -> bytes:
        self.addresses()
        return super().wake(address)


def moving_board(way: Way, firmware: KitFirmware) -> FaultyBoard:
    return FaultyBoard(CdcBoard(Interpreter(Moving(way), firmware)).receive_data)


class MovingCdc(CdcWay):
    def __init__(self, firmware: KitFirmware) -> None:
        super().__init__(firmware)
        self.pty.close()
        self.board = moving_board(self, firmware)
        self.pty = PtyBoard(self.board)

    def open(self) -> Hal:
        return open_kit_cdc(f"//{self.pty.path}?address=0xC0", SHORT)


class MovingHid(HidWay):
    def open(self) -> Hal:
        board = moving_board(self, FIRMWARES[next(iter(FIRMWARES))])
        return open_kit_hid(f"//{self.path}", SHORT, FakeHid({self.path: board}))


class MovingTcpKit(TcpKitWay):
    def __init__(self) -> None:
        super().__init__()
        self.tcp.close()
        self.board = moving_board(self, FIRMWARES[next(iter(FIRMWARES))])
        self.tcp = TcpBoard(self.board)


class AddressedBridge(TcpBridgeWay):
    def open(self) -> Hal:
        return open_tcp(f"//127.0.0.1:{self.tcp.port}?address=0xC0", SHORT)


WAYS: dict[str, Callable[[], Way]] = {
    "emulator": EmulatorWay,
    "i2c": I2cWay,
    "bridge": TcpBridgeWay,
    "bridge with address": AddressedBridge,
    "kit-hid": MovingHid,
    "tcp-kit": MovingTcpKit,
    **{f"kit-cdc {name}": partial(MovingCdc, firmware) for name, firmware in FIRMWARES.items()},
}
NEW_ENDS = {"i2c": "/0x35", "bridge with address": "?address=0x6A", "tcp-kit": "&address=0x6A"}


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[tuple[str, Way]]:
    with standing(WAYS[request.param]()) as way:
        yield request.param, way


class Hearing(InMemory):
    def __init__(self, authority: MemoryCa) -> None:
        super().__init__(authority)
        self.heard: list[tuple[int, str]] = []
        self.stages_before: list[tuple[Stage, StageStatus]] = []

    def address_changes(self, address: int, url: str) -> None:
        self.heard.append((address, url))
        self.stages_before = list(self.notices)


@pytest.mark.parametrize("profile", [MOVED, BY_EXTRA], ids=["byte 16", "byte 85"])
def test_the_run_follows_the_chip_and_names_its_new_url(
    way: tuple[str, Way], authority: MemoryCa, profile: Profile
) -> None:
    name, place = way
    functions = Hearing(authority)
    with Device(place.open()) as device:
        old = device.url
        Provisioner(profile, authority.cert_info, functions).provision(device)
        assert device.read_config()[LOCK_VALUE] == LOCKED
        new = device.url
    assert functions.heard == [(0x6A, new)]
    assert functions.stages_before == []
    assert place.chip.i2c_address == 0x35
    assert place.chip.power is Power.ASLEEP
    if name in ("emulator", "bridge"):  # ways that need no address
        assert new == old
    else:
        assert new.endswith(NEW_ENDS.get(name, "?address=0x6A"))


def test_unmoved_chip_is_not_mentioned(authority: MemoryCa) -> None:
    functions = Hearing(authority)
    with Device.open("emulator:") as device:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert functions.heard == []


def test_a_run_that_fails_after_the_move_names_the_new_url(authority: MemoryCa) -> None:
    functions = Hearing(authority)
    functions.write = unreachable  # type: ignore[assignment]
    with standing(I2cWay()) as way:
        with Device(way.open()) as device, pytest.raises(AtcaProvError) as failed:
            Provisioner(MOVED, authority.cert_info, functions).provision(device)
        assert failed.value.board is Board.RETRY
        url = functions.heard[0][1]
        assert failed.value.advice.endswith(f"its device URL is {url}.")
        with pytest.raises(TransportError):
            way.open()


def test_address_in_use_is_reported_before_stage_1(authority: MemoryCa) -> None:
    functions = Hearing(authority)
    with standing(I2cWay()) as way, BusLock(f"i2c-{id(way)}-35").held(0):
        with Device(way.open()) as device, pytest.raises(TransportError):
            Provisioner(MOVED, authority.cert_info, functions).provision(device)
        assert way.chip.memory.config[16] == 0xC0
    assert functions.notices == []


class TwoOnI2c(I2cWay):
    """A bus with a neighbour at the address to which the chip would move."""

    def __init__(self) -> None:
        super().__init__()
        self.bus = FakeI2cBus([self.chip, neighbour()])


class TwoBehindABridge(AddressedBridge):
    def __init__(self) -> None:
        super().__init__()
        self._buses = Buses([ServedChip(self.chip), ServedChip(neighbour())])
        self._session = BridgeSession(self._buses)


class TwoOnAKit(MovingCdc):
    def __init__(self) -> None:
        super().__init__(PARSER3)
        self.pty.close()
        bus = EmulatedBus({0xC0: self.chip, 0x6A: neighbour()})
        self.pty = PtyBoard(FaultyBoard(CdcBoard(Interpreter(bus, PARSER3)).receive_data))


def neighbour() -> SoftwareChip:
    return SoftwareChip(load_image("tngtls").make(SystemRandom()))


@pytest.mark.parametrize("make", [TwoOnI2c, TwoBehindABridge, TwoOnAKit])
def test_address_of_another_part_is_reported_before_any_write(authority: MemoryCa, make: Callable[[], Way]) -> None:
    functions = Hearing(authority)
    with standing(make()) as way:
        before = bytes(way.chip.memory.config)
        with Device(way.open()) as device, pytest.raises(TransportError) as refused:
            Provisioner(MOVED, authority.cert_info, functions).provision(device)
        assert (refused.value.code, refused.value.board) == (Code.ADDRESS_TAKEN, Board.UNTOUCHED)
        assert bytes(way.chip.memory.config) == before
        assert way.chip.power is Power.ASLEEP
        with Device(way.open()) as device:  # the product that keeps the address is made as ever
            Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    assert functions.notices == []


def test_chip_moves_after_the_other_part_is_removed(authority: MemoryCa) -> None:
    with standing(TwoOnI2c()) as way:
        with Device(way.open()) as device, pytest.raises(TransportError, match="Take the other part off the bus"):
            Provisioner(MOVED, authority.cert_info, InMemory(authority)).provision(device)
        way.bus = FakeI2cBus([way.chip])
        with Device(way.open()) as device:
            Provisioner(MOVED, authority.cert_info, InMemory(authority)).provision(device)
    assert way.chip.i2c_address == 0x35


def test_removal_of_a_moved_chip_is_checked_at_its_new_address() -> None:
    asked: list[str] = []

    def look(url: str) -> Device:
        asked.append(url)
        return Device.open("emulator:")

    fixture = Fixture("i2c://1/0x60", look_with=look, is_plugged=lambda url: True)
    fixture.look()
    fixture.look()
    fixture.follow("i2c://1/0x35")
    fixture.was_taken_out()
    assert asked[0] == "i2c://1/0x60"
    assert set(asked[1:]) == {"i2c://1/0x35"}
