"""Boards that come and go: listed as they are, and waited for by the program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from atcaprov import Stage
from atcaprov.diagnosis.candidates import I2cSearch, ListedPort, list_ports
from atcaprov.emulator.chip import Power
from tests.support.programs import killed_after
from virtual_bench.boards import BoardKind, BoardPlan
from virtual_bench.guest.factory import LOCKED_SLOT, BenchFactory, require_finished
from virtual_bench.machine import PATIENCE
from virtual_bench.plugboard import Node, Plugboard
from virtual_bench.ways import Way

ADDRESSES = (0xC0, 0x6A)  # two that chips are delivered with: others on I2C are not looked for


def test_the_list_shows_every_board_and_chip_and_changes_nothing(plugboard: Plugboard) -> None:
    nodes = {}
    for kind in BoardKind:
        plugboard.make(BoardPlan(kind, kind, addresses=ADDRESSES))
        nodes[kind] = plugboard.plug(kind)
    before = {kind: [plugboard.chip(kind, index) for index in range(len(ADDRESSES))] for kind in BoardKind}
    bus_number = int(nodes[BoardKind.I2C].path.name.removeprefix("i2c-"))
    listed = list(list_ports(I2cSearch(frozenset({bus_number}))))
    for kind in BoardKind:
        (port,) = (port for port in listed if port.usb_path == nodes[kind].bus_id)
        _require_chips(port, plugboard, kind)
        chips = [plugboard.chip(kind, index) for index in range(len(ADDRESSES))]
        assert [chip[1:] for chip in chips] == [chip[1:] for chip in before[kind]]
        if kind is not BoardKind.I2C:  # there a pulse wakes all, and only a real chip's watchdog ends that
            assert {chip.power for chip in chips} == {Power.ASLEEP}


def test_an_i2c_bus_that_was_not_asked_for_is_left_alone(plugboard: Plugboard) -> None:
    plugboard.make(BoardPlan("adapter", BoardKind.I2C))
    node = plugboard.plug("adapter")
    carried = plugboard.carried("adapter")
    (port,) = (port for port in list_ports() if port.usb_path == node.bus_id)
    assert not port.searched
    assert plugboard.carried("adapter") == carried


def _require_chips(port: ListedPort, plugboard: Plugboard, name: str) -> None:
    assert port.error is None
    assert [chip.address for chip in port.chips] == list(ADDRESSES)
    for index, chip in enumerate(port.chips):
        assert chip.error is None
        assert chip.part == "ATECC608A"
        assert chip.serial_number == plugboard.serial_number(name, index).hex().upper()
        assert (chip.config_locked, chip.data_locked) == (False, False)


@pytest.mark.parametrize("way", [Way.HIDRAW, Way.CDC, Way.I2C])
def test_the_program_provisions_board_after_board_at_one_place(
    plugboard: Plugboard, factory: BenchFactory, way: Way
) -> None:
    plugboard.make(BoardPlan("first", way.kind))
    url = _place(way, plugboard.plug("first"))
    plugboard.unplug("first")
    host, port = factory.address
    command = (sys.executable, "-m", "provisioning_client.cli", "--auto", "--count", "2", "--device", url)
    options = ("--certinfo", factory.cert_info_file, "--host", host, "--port", port, "--lock-slot", LOCKED_SLOT)
    with _console(*command, *options) as console:
        console.wait_for("Waiting for board to be connected...")
        for name in ("first", "second"):
            if name == "second":
                plugboard.make(BoardPlan(name, way.kind))
            plugboard.plug(name)
            console.wait_for(plugboard.serial_number(name).hex().upper())
            console.wait_for("Provisioning successful! Please remove board...")
            plugboard.unplug(name)
        assert console.wait_for_end() == 0, console.text
    for stage in Stage:
        assert console.text.count(stage.label.ljust(26, ".") + "done") == 2
    for name in ("first", "second"):
        require_finished(plugboard.chip(name))
        factory.verify_kept_certificates(plugboard.serial_number(name))
    assert "Board removed. Waiting for board to be connected...ok" in console.text


def _place(way: Way, node: Node) -> str:
    return way.url(node) if way is Way.I2C else f"kit-{way.kind}://{node.bus_id}"


class _Console:
    """What a program prints; it is killed if it does not print what a test waits for."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        assert program.stdout is not None
        self._program = program
        self._output = program.stdout
        self.text = ""

    def wait_for(self, text: str) -> None:
        """Read up to the text; the line of a wait has no end until the wait is over."""
        with killed_after(self._program, PATIENCE):
            while character := self._output.read(1):
                self.text += character
                if self.text.endswith(text):
                    return
        raise AssertionError(f"the program did not print {text!r}: {self.text}")

    def wait_for_end(self) -> int:
        with killed_after(self._program, PATIENCE):
            self.text += self._output.read()
            return self._program.wait()


@contextmanager
def _console(*command: object) -> Iterator[_Console]:
    with subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        try:
            yield _Console(program)
        finally:
            program.kill()
