"""`python -m virtual_bench.plugboard_process`: hold the boards and the wires of what is plugged in.

It is a process of its own because some USB libraries hold Python's interpreter lock while the kernel waits for the
device. Commands come as JSON lines on standard input; each is answered by one JSON line. It ends with its input.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.support.faulty_board import BoardFault
from virtual_bench import vhci
from virtual_bench.boards import BoardPlan, PluggableBoard
from virtual_bench.chips import CableCut
from virtual_bench.usb_device import UsbDevice
from virtual_bench.usbip import UsbIpError

READY: Final = {"ready": True}
_BABBLE_SECONDS: Final = 0.02
_STDIN: Final = 0


@dataclass
class _Plugged:
    board: PluggableBoard
    device: UsbDevice
    port: int
    wire: socket.socket


class PlugboardServer:
    """One loop over the commands and all wires that never blocks."""

    def __init__(self) -> None:
        self._boards: dict[str, PluggableBoard] = {}
        self._plugged: dict[str, _Plugged] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(_STDIN, selectors.EVENT_READ)
        self._input = b""
        self._commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "make": self._make,
            "renew": self._renew,
            "plug": self._plug,
            "unplug": self._unplug,
            "cut": self._cut,
            "spoil": self._spoil,
            "plugged": self._is_plugged,
            "carried": self._carried,
            "chip": self._chip,
            "exchange": self._exchange,
        }

    def run(self) -> None:
        """Serve until the input ends."""
        _say(READY)
        while True:
            for key, _ in self._selector.select(_BABBLE_SECONDS):
                if key.fd == _STDIN:
                    if not self._take_input():
                        return
                elif key.data in self._plugged:
                    self._serve(self._plugged[key.data])
            for plugged in list(self._plugged.values()):
                plugged.board.babble(plugged.device)
                self._send(plugged, plugged.device.take_answers())

    def _take_input(self) -> bool:
        data = os.read(_STDIN, 65536)
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            try:
                _say(self._commands[command["do"]](command))
            except Exception as error:  # any error is reported to the test process
                _say({"error": f"{type(error).__name__}: {error}"})
        return bool(data)

    def _serve(self, plugged: _Plugged) -> None:
        try:
            data = plugged.wire.recv(65536)
            answers = plugged.device.receive_data(data)
        except (OSError, UsbIpError) as error:
            print(f"{plugged.board.plan.name}: {error}", file=sys.stderr, flush=True)
            data = answers = b""
        if not data or plugged.board.is_cut:
            self._pull(plugged.board.plan.name)
        else:
            self._send(plugged, answers)

    def _send(self, plugged: _Plugged, answers: bytes) -> None:
        if not answers:
            return
        try:
            plugged.wire.sendall(answers)
        except OSError:
            self._pull(plugged.board.plan.name)

    def _pull(self, name: str) -> None:
        plugged = self._plugged.pop(name, None)
        if plugged is not None:
            self._selector.unregister(plugged.wire)
            plugged.wire.close()

    def _forget_unread(self, name: str) -> None:
        """Clear data that the device has ready and the kernel has not fetched."""
        if name in self._plugged:
            for pipe in self._plugged[name].device.in_pipes.values():
                pipe.clear()

    # Commands

    def _make(self, command: dict[str, Any]) -> dict[str, Any]:
        board = PluggableBoard(BoardPlan.from_document(command["plan"]))
        self._pull(board.plan.name)
        self._boards[board.plan.name] = board
        return {}

    def _renew(self, command: dict[str, Any]) -> dict[str, Any]:
        plan = BoardPlan.from_document(command["plan"])
        self._boards[plan.name].renew(plan)
        self._forget_unread(plan.name)
        return {}

    def _plug(self, command: dict[str, Any]) -> dict[str, Any]:
        board = self._boards[command["name"]]
        port, wire = vhci.attach([plugged.port for plugged in self._plugged.values()])
        self._plugged[board.plan.name] = _Plugged(board, board.plug(), port, wire)
        self._selector.register(wire, selectors.EVENT_READ, board.plan.name)
        return {"bus_id": vhci.bus_id(port)}

    def _unplug(self, command: dict[str, Any]) -> dict[str, Any]:
        self._pull(command["name"])
        return {}

    def _cut(self, command: dict[str, Any]) -> dict[str, Any]:
        for chip in self._boards[command["name"]].chips:
            chip.cut = CableCut(command["count"], command["before"])
        return {}

    def _spoil(self, command: dict[str, Any]) -> dict[str, Any]:
        fault = BoardFault(command["fault"])
        self._boards[command["name"]].spoil(fault)
        if fault is BoardFault.NONE:
            self._forget_unread(command["name"])
        return {}

    def _is_plugged(self, command: dict[str, Any]) -> dict[str, Any]:
        return {"plugged": command["name"] in self._plugged}

    def _carried(self, command: dict[str, Any]) -> dict[str, Any]:
        return {"bytes": self._plugged[command["name"]].device.carried}

    def _chip(self, command: dict[str, Any]) -> dict[str, Any]:
        chip = self._boards[command["name"]].chips[command["index"]]
        if command["act"] == "wake":
            chip.wake()
        elif command["act"] == "idle":
            chip.idle()
        elif command["act"] == "power_cycle":
            chip.power_cycle()
        config, otp, data = chip.memory.image()
        return {"power": chip.power.value, "config": config.hex(), "otp": otp.hex(), "data": data.hex()}

    def _exchange(self, command: dict[str, Any]) -> dict[str, Any]:
        return {"reply": self._boards[command["name"]].chips[0].exchange(bytes.fromhex(command["packet"])).hex()}


def _say(reply: dict[str, Any]) -> None:
    print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    PlugboardServer().run()
