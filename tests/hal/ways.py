"""Every way to a software chip that needs no hardware, each with faults of its own kind."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator
from typing import TypeVar

from atcaprov import EmulatedHal, Hal, SoftwareChip, TransportError
from atcaprov.hal.i2c.bus import I2cBus
from atcaprov.hal.i2c.hal import open_i2c
from atcaprov.hal.kit.cdc import open_kit_cdc
from atcaprov.hal.kit.hid import open_kit_hid
from atcaprov.hal.kit.line_port import KitTimeouts
from atcaprov.hal.tcp import open_tcp
from atcaprov.kit_protocol.firmware import PARSER3, KitFirmware
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from atcaprov.serving.bridge import BridgeSession
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip
from tests.support.fake_hid import FakeHid
from tests.support.faulty_board import BoardFault, FaultyBoard
from tests.support.kit_chips import EmulatedBus
from tests.support.pty_and_tcp_boards import PtyBoard, TcpBoard

AnyWay = TypeVar("AnyWay", bound="Way")
SHORT = KitTimeouts(greeting=0.3, control=0.3, talk=0.3, resync=0.3)
ADDRESS = 0xC0


class Way(abc.ABC):
    """One chip and a way to it."""

    faults: tuple[BoardFault, ...] = ()

    def __init__(self) -> None:
        self.chip = SoftwareChip()

    @abc.abstractmethod
    def open(self) -> Hal: ...

    def spoil(self, fault: BoardFault) -> None:
        raise NotImplementedError

    def unplug(self) -> None:
        raise NotImplementedError

    def replug(self) -> None:
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027 - most hold nothing
        pass


class EmulatorWay(Way):
    def open(self) -> Hal:
        return EmulatedHal(self.chip, "emulator:")


def kit_board(chip: SoftwareChip, firmware: KitFirmware = PARSER3) -> FaultyBoard:
    return FaultyBoard(CdcBoard(Interpreter(EmulatedBus({ADDRESS: chip}), firmware)).receive_data)


class _BoardWay(Way):
    faults = tuple(fault for fault in BoardFault if fault is not BoardFault.NONE)
    board: FaultyBoard

    def spoil(self, fault: BoardFault) -> None:
        self.board.fault = fault

    def replug(self) -> None:
        """Plug the board in again at the same port; what is still open there stays dead."""
        self.chip.power_cycle()
        self.board = kit_board(self.chip)


class CdcWay(_BoardWay):
    def __init__(self, firmware: KitFirmware = PARSER3) -> None:
        super().__init__()
        self.board = kit_board(self.chip, firmware)
        self.pty = PtyBoard(self.board)

    def open(self) -> Hal:
        return open_kit_cdc(f"//{self.pty.path}", SHORT)

    def unplug(self) -> None:
        self.pty.unplug()

    def replug(self) -> None:
        super().replug()
        self.pty.close()
        self.pty = PtyBoard(self.board)

    def close(self) -> None:
        self.pty.close()


class HidWay(_BoardWay):
    def __init__(self, firmware: KitFirmware = PARSER3) -> None:
        super().__init__()
        self.board = kit_board(self.chip, firmware)
        self.path = f"/hid/{id(self)}"

    def open(self) -> Hal:
        return open_kit_hid(f"//{self.path}", SHORT, FakeHid({self.path: self.board}))

    def unplug(self) -> None:
        self.board.unplugged = True


class TcpKitWay(_BoardWay):
    def __init__(self, firmware: KitFirmware = PARSER3) -> None:
        super().__init__()
        self.board = kit_board(self.chip, firmware)
        self.tcp = TcpBoard(self.board)

    def open(self) -> Hal:
        return open_tcp(f"//127.0.0.1:{self.tcp.port}?protocol=kit", SHORT)

    def unplug(self) -> None:
        self.tcp.unplug()

    def replug(self) -> None:
        super().replug()
        self.tcp.close()
        self.tcp = TcpBoard(self.board, self.tcp.port)

    def close(self) -> None:
        self.tcp.close()


class TcpBridgeWay(_BoardWay):
    faults = (BoardFault.SILENT, BoardFault.CUT, BoardFault.NOISE)

    def __init__(self) -> None:
        super().__init__()
        self._buses = Buses([ServedChip(self.chip)])
        self._session = BridgeSession(self._buses)
        self.board = FaultyBoard(self._receive)
        self.tcp = TcpBoard(self.board)

    def _receive(self, data: bytes) -> bytes:
        return b"".join(step for step in self._session.receive(data) if isinstance(step, bytes))

    def open(self) -> Hal:
        return open_tcp(f"//127.0.0.1:{self.tcp.port}", SHORT)

    def unplug(self) -> None:
        self.tcp.unplug()

    def close(self) -> None:
        self.tcp.close()


class FakeI2cBus(I2cBus):
    """Bus 0 of the emulator's servers: NAK, wake pulse and read pointer as on the wire."""

    def __init__(self, chips: list[SoftwareChip]) -> None:
        self._buses = Buses([ServedChip(chip) for chip in chips])
        self.fault = BoardFault.NONE
        self.unplugged = False

    def write(self, address: int, data: bytes) -> bool:
        self._check()
        return self.fault is not BoardFault.SILENT and self._buses.write(0, address << 1, data)

    def read(self, address: int, count: int) -> bytes:
        self._check()
        if self.fault is BoardFault.SILENT:
            return b""
        data = self._buses.read(0, address << 1, count) or b""
        if self.fault is BoardFault.NOISE:
            return b"\xff" * len(data)
        return data[: count // 2] if self.fault is BoardFault.CUT else data

    def _check(self) -> None:
        if self.unplugged:
            raise TransportError("The adapter is gone.")


class I2cWay(Way):
    faults = (BoardFault.SILENT, BoardFault.CUT, BoardFault.NOISE)

    def __init__(self) -> None:
        super().__init__()
        self.bus = FakeI2cBus([self.chip])

    def open(self) -> Hal:
        return open_i2c(f"//{id(self)}/0x60", self.bus, seconds=0.3)

    def spoil(self, fault: BoardFault) -> None:
        self.bus.fault = fault

    def unplug(self) -> None:
        self.bus.unplugged = True


WAYS: dict[str, type[Way]] = {
    "emulator": EmulatorWay,
    "kit-cdc": CdcWay,
    "kit-hid": HidWay,
    "i2c": I2cWay,
    "tcp-bridge": TcpBridgeWay,
    "tcp-kit": TcpKitWay,
}


@contextlib.contextmanager
def standing(way: AnyWay) -> Iterator[AnyWay]:
    try:
        yield way
    finally:
        way.close()
