"""Plug boards in and out for tests, and find the device files that the kernel makes for them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self, TypeVar

from atcaprov.emulator.chip import Power
from tests.support.faulty_board import BoardFault
from virtual_bench.boards import BoardKind, BoardPlan

PATIENCE_SECONDS: Final = 90.0
"""A plug takes one second on a quiet machine."""
_SETTLE_TRIES: Final = 5
_POLL_SECONDS: Final = 0.02
_USB_DEVICES: Final = Path("/sys/bus/usb/devices")
_NODES: Final = {BoardKind.HID: "hidraw/hidraw*", BoardKind.CDC: "tty/tty*", BoardKind.I2C: "i2c-[0-9]*"}


_Found = TypeVar("_Found")
ChipAct = Literal["look", "wake", "idle", "power_cycle"]


class Node(NamedTuple):
    """A plugged board: its place in the USB tree, such as `1-1`, and its device file."""

    bus_id: str
    path: Path


class ChipState(NamedTuple):
    """The contents of a chip on a board."""

    power: Power
    config: bytes
    otp: bytes
    data: bytes


class BenchError(Exception):
    """The bench itself failed."""


class Plugboard:
    """The process that holds the boards, as a context manager."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab")
        self._plans: dict[str, BoardPlan] = {}
        self._nodes: dict[str, Node] = {}
        self._pulled: set[str] = set()
        self._chips_made = 0
        command = (sys.executable, "-m", "virtual_bench.plugboard_process")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def __enter__(self) -> Self:
        self._hear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.unplug_all()
        self._process.communicate(timeout=PATIENCE_SECONDS)
        self._log.close()

    def make(self, plan: BoardPlan) -> None:
        """Make a board with new blank chips; a board of the same name is discarded."""
        self._ask("make", plan=asdict(self._numbered(plan)))

    def serial_number(self, name: str, index: int = 0) -> bytes:
        """Return the serial number of a chip, 9 bytes."""
        return self._plans[name].chip_serial_number(index)

    def plug(self, name: str) -> Node:
        """Plug a board in; return its node when its device file is there and udev has handled it."""
        bus_id = self._ask("plug", name=name)["bus_id"]
        path = _wait_for(lambda: _find_node(bus_id, self._plans[name].kind), f"the device file of {name}")
        _settle()
        self._nodes[name] = Node(bus_id, path)
        self._pulled.discard(name)
        return self._nodes[name]

    def renew(self, plan: BoardPlan) -> Node:
        """Put blank chips on a plugged board and end its faults; make and plug the board if it is missing."""
        node = self._nodes.get(plan.name)
        if node is None or plan.name in self._pulled:
            self.wait_until_gone(plan.name)
            self.make(plan)
            return self.plug(plan.name)
        self._ask("renew", plan=asdict(self._numbered(plan)))
        return node

    def unplug(self, name: str) -> None:
        """Unplug a board; return when its device file is gone. Close all its users before, above all on I2C."""
        self.pull(name)
        self.wait_until_gone(name)

    def pull(self, name: str) -> None:
        """Unplug a board even if a program has it open."""
        self._ask("unplug", name=name)
        self._pulled.add(name)

    def wait_until_gone(self, name: str) -> None:
        """Return when the device file of an unplugged board is gone."""
        node = self._nodes.pop(name, None)
        if node is not None:
            _wait_for(lambda: not (_USB_DEVICES / node.bus_id).exists(), f"the end of {name}")
            _settle()

    def node(self, name: str) -> Node:
        """Return the node of a plugged board."""
        return self._nodes[name]

    def plugged(self) -> frozenset[str]:
        """Return the names of the boards that are plugged in."""
        return frozenset(self._nodes)

    def is_plugged(self, name: str) -> bool:
        """Tell whether a board is plugged in: not pulled, nor cut off by one of its chips."""
        return bool(self._ask("plugged", name=name)["plugged"])

    def unplug_all(self, but: Iterable[str] = ()) -> None:
        """Unplug all boards except those named."""
        for name in set(self._nodes) - set(but):
            self.unplug(name)

    def cut_at_command(self, name: str, count: int, *, before: bool) -> None:
        """Unplug a board at the `count`-th command to its chips from now, before or after the chip ran it."""
        self._ask("cut", name=name, count=count, before=before)

    def spoil(self, name: str, fault: BoardFault) -> None:
        """Make a board faulty from now on, plugged in or not."""
        self._ask("spoil", name=name, fault=fault.value)

    def carried(self, name: str) -> int:
        """Return how many bytes of data have gone over the USB wire of a plugged board, both ways."""
        return int(self._ask("carried", name=name)["bytes"])

    def chip(self, name: str, index: int = 0, *, act: ChipAct = "look") -> ChipState:
        """Change a chip behind its bus, as another program or a bad contact would; return its contents."""
        state = self._ask("chip", name=name, index=index, act=act)
        return ChipState(Power(state["power"]), *(bytes.fromhex(state[zone]) for zone in ("config", "otp", "data")))

    def exchange(self, name: str, packet: bytes) -> bytes:
        """Send a packet directly to the first chip of a board; return its reply."""
        return bytes.fromhex(self._ask("exchange", name=name, packet=packet.hex())["reply"])

    def _numbered(self, plan: BoardPlan) -> BoardPlan:
        plan = replace(plan, first_chip=self._chips_made)
        self._chips_made += len(plan.addresses)
        self._plans[plan.name] = plan
        return plan

    def _ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"the process with the boards has ended; see {self._log.name}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise BenchError(reply["error"])
        return reply


def _find_node(bus_id: str, kind: BoardKind) -> Path | None:
    for found in _USB_DEVICES.glob(f"{bus_id}:*/{_NODES[kind]}"):
        return _device_file(found.name)
    for found in _USB_DEVICES.glob(f"{bus_id}:*/*/{_NODES[kind]}"):
        return _device_file(found.name)
    return None


def _device_file(name: str) -> Path | None:
    path = Path("/dev") / name
    return path if path.exists() else None


def _wait_for(look: Callable[[], _Found | None], what: str) -> _Found:
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        if time.monotonic() > end:
            raise BenchError(f"waited {PATIENCE_SECONDS:.0f} s for {what}")
        time.sleep(_POLL_SECONDS)
    return found


def _settle() -> None:
    """Wait until udev has handled all events; a busy udevd may drop the connection with 'Broken pipe'."""
    command = ("udevadm", "settle", f"--timeout={PATIENCE_SECONDS:.0f}")
    for _ in range(_SETTLE_TRIES):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    raise BenchError(f"udevadm settle: {done.stderr.strip() or 'udev does not come to rest'}")
