"""How the client notices boards that come and go, without USB."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atcaprov import Code, Device, EmulatedHal, ProtocolError, SoftwareChip, TransportError, UsageError
from atcaprov.hal.kit.hid import open_kit_hid
from atcaprov.kit_protocol.firmware import PARSER3
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from provisioning_client.board_presence import CHIP_SECONDS, Fixture
from tests.hal.ways import SHORT
from tests.support.fake_hid import FakeHid
from tests.support.faulty_board import FaultyBoard
from tests.support.kit_chips import EmulatedBus

URL = "kit-hid://1-2.3"


class Quiet:
    """A watcher without events: the port is checked only while sightings are counted, or when told."""

    def __init__(self) -> None:
        self.changed = True

    def worth_looking(self) -> bool:
        changed, self.changed = self.changed, False
        return changed


class Socket:
    """A USB port: with or without a board, with or without a chip, or with an error."""

    def __init__(self) -> None:
        self.plugged = False
        self.several = False
        self.chip: SoftwareChip | None = None
        self.error: Exception | None = None
        self.opened = 0
        self.looked = 0
        self.time = 0.0
        self.watcher = Quiet()

    def is_plugged(self, url: str) -> bool:
        assert url == URL
        self.looked += 1
        if self.several:
            raise UsageError("2 boards fit.", advice="Name one.")
        return self.plugged

    def open(self, url: str) -> Device:
        self.opened += 1
        if self.error is not None:
            raise self.error
        chip = self.chip or SoftwareChip()
        if self.chip is None:
            chip.power_off()
        return Device(EmulatedHal(chip, url))

    def fixture(self, url: str = URL, open_board: Callable[[str], Device] | None = None) -> Fixture:
        return Fixture(
            url,
            look_with=self.open,
            open_board=open_board,
            watcher=self.watcher,  # type: ignore[arg-type]
            is_plugged=self.is_plugged if url == URL else lambda _url: True,
            now=lambda: self.time,
        )

    def plug(self, chip: SoftwareChip | None) -> None:
        self.plugged, self.chip, self.watcher.changed = True, chip, True

    def pull(self) -> None:
        self.plugged, self.chip, self.watcher.changed = False, None, True


@pytest.fixture
def socket() -> Socket:
    return Socket()


def looks(fixture: Fixture, count: int) -> list[bool]:
    found = []
    for _ in range(count):
        device = fixture.look()
        found.append(device is not None)
        if device is not None:
            device.close()
    return found


def test_board_counts_once_it_was_seen_twice(socket: Socket) -> None:
    fixture = socket.fixture()
    assert looks(fixture, 2) == [False, False]
    socket.plug(SoftwareChip())
    assert looks(fixture, 2) == [False, True]
    assert not fixture.is_exhausted()


def test_bouncing_contact_does_not_count_as_a_board(socket: Socket) -> None:
    fixture = socket.fixture()
    for _ in range(3):
        socket.plug(SoftwareChip())
        assert looks(fixture, 1) == [False]
        socket.pull()
        assert looks(fixture, 1) == [False]
    assert socket.opened == 0


def test_board_missed_twice_is_removed_and_the_next_one_found(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(SoftwareChip())
    looks(fixture, 2)
    assert not fixture.is_removed()
    socket.pull()
    assert [fixture.is_removed(), fixture.is_removed()] == [False, True]
    socket.plug(SoftwareChip())
    assert looks(fixture, 2) == [False, True]


def test_board_that_failed_before_its_run_counts_as_removed_only_if_missing(socket: Socket) -> None:
    fixture, chip = socket.fixture(), SoftwareChip()
    socket.plug(chip)
    fixture.look()
    device = fixture.look()
    assert device is not None
    device.close()
    assert not fixture.was_taken_out()
    socket.chip = None
    assert fixture.was_taken_out()
    socket.plug(chip)
    assert not fixture.was_taken_out()
    socket.pull()
    assert fixture.was_taken_out()


def test_bounce_at_the_end_does_not_count_as_removal(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(SoftwareChip())
    looks(fixture, 2)
    socket.plugged, socket.watcher.changed = False, True
    assert not fixture.is_removed()
    socket.plugged = True
    assert not fixture.is_removed()
    socket.pull()
    assert [fixture.is_removed(), fixture.is_removed()] == [False, True]


def test_nothing_is_checked_without_an_event(socket: Socket) -> None:
    fixture = socket.fixture()
    looks(fixture, 5)
    assert socket.looked == 1
    assert socket.opened == 0


def test_empty_kit_socket_is_checked_again(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(None)
    assert looks(fixture, 4) == [False] * 4
    socket.chip = SoftwareChip()
    assert looks(fixture, 1) == [True]


def test_another_chip_in_the_kit_socket_is_another_board(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(SoftwareChip())
    looks(fixture, 2)
    assert not fixture.is_removed()
    socket.chip = SoftwareChip()
    assert not fixture.is_removed(), "the chip is asked from time to time only"
    socket.time += CHIP_SECONDS
    assert [fixture.is_removed(), fixture.is_removed()] == [False, True]
    assert looks(fixture, 2) == [False, True]


def test_emptied_socket_counts_as_removal(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(SoftwareChip())
    looks(fixture, 2)
    socket.chip = None
    socket.time += 2 * CHIP_SECONDS
    assert [fixture.is_removed(), fixture.is_removed()] == [False, True]


def test_silent_kit_is_one_error_and_removed_when_pulled(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(None)
    socket.error = TransportError("silent", code=Code.DEVICE_NO_REPLY)
    fixture.look()
    with pytest.raises(TransportError):
        fixture.look()
    socket.time += 2 * CHIP_SECONDS
    assert [fixture.is_removed(), fixture.is_removed()] == [False, False]
    socket.pull()
    assert [fixture.is_removed(), fixture.is_removed()] == [False, True]


def test_busy_port_does_not_count_as_removal(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(SoftwareChip())
    looks(fixture, 2)
    for error in (TransportError("busy", code=Code.DEVICE_BUSY), ProtocolError("noise")):
        socket.error = error
        socket.time += 2 * CHIP_SECONDS
        assert [fixture.is_removed(), fixture.is_removed()] == [False, False]


def test_bus_without_its_chip_is_an_empty_fixture(socket: Socket) -> None:
    fixture = socket.fixture("i2c://1/0x60")
    socket.error = TransportError("no board there", code=Code.DEVICE_NO_REPLY)
    assert looks(fixture, 4) == [False] * 4
    socket.error = TransportError("no rights", code=Code.DEVICE_NO_PERMISSION)
    with pytest.raises(TransportError):
        fixture.look()
    socket.error, socket.chip = None, SoftwareChip()
    assert looks(fixture, 1) == [True]


def test_damaged_reply_while_looking_is_an_error(socket: Socket) -> None:
    def noisy(url: str) -> Device:
        device = socket.open(url)
        device.serial_number = _noise  # type: ignore[method-assign]
        return device

    def _noise() -> bytes:
        raise ProtocolError("noise")

    fixture = Fixture(URL, look_with=noisy, is_plugged=lambda _url: True)
    fixture.look()
    with pytest.raises(ProtocolError):
        fixture.look()


def test_board_is_opened_again_for_its_run(socket: Socket) -> None:
    opened: list[str] = []

    def open_board(url: str) -> Device:
        opened.append(url)
        return socket.open(url)

    fixture = socket.fixture(open_board=open_board)
    socket.plug(None)
    looks(fixture, 3)
    assert opened == []
    socket.chip = SoftwareChip()
    assert looks(fixture, 1) == [True]
    assert opened == [URL]


def test_chip_at_another_address_gives_a_hint(socket: Socket) -> None:
    chips = {0x6A: SoftwareChip()}
    hid = FakeHid({"/hid/one": FaultyBoard(CdcBoard(Interpreter(EmulatedBus(chips), PARSER3)).receive_data)})
    fixture = Fixture(
        URL,
        look_with=lambda url: Device(open_kit_hid("///hid/one?address=0xC0", SHORT, hid)),
        watcher=socket.watcher,  # type: ignore[arg-type]
        is_plugged=socket.is_plugged,
    )
    socket.plug(None)
    assert looks(fixture, 2) == [False, False]
    assert fixture.hint is not None
    assert fixture.hint.code == Code.DEVICE_OTHER_ADDRESS
    chips[0xC0] = SoftwareChip()
    assert looks(fixture, 1) == [True]
    assert fixture.hint is None


def test_no_board_is_taken_or_removed_while_several_fit_the_url(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(SoftwareChip())
    assert looks(fixture, 2) == [False, True]
    socket.several, socket.watcher.changed = True, True
    assert [fixture.is_removed() for _ in range(4)] == [False] * 4
    assert str(fixture.hint) == "2 boards fit. Name one."
    socket.several, socket.watcher.changed = False, True
    assert not fixture.is_removed()
    assert fixture.hint is None
    socket.pull()
    assert [fixture.is_removed(), fixture.is_removed()] == [False, True]
    socket.several, socket.watcher.changed = True, True
    assert looks(fixture, 4) == [False] * 4
    assert fixture.hint is not None
    socket.several = False
    socket.plug(SoftwareChip())
    assert looks(fixture, 2) == [False, True]
    assert fixture.hint is None


def test_second_board_during_opening_is_not_a_failed_board(socket: Socket) -> None:
    fixture = socket.fixture()
    socket.plug(SoftwareChip())
    socket.error = UsageError("2 boards fit.")
    assert looks(fixture, 3) == [False] * 3
    assert fixture.hint is socket.error
