"""The vendor's own transports judge the boards: a board that they cannot drive is not a kit or a chip on I2C."""

from __future__ import annotations

import subprocess
import sys

import pytest

from atcaprov.kit_protocol.firmware import PARSER3
from virtual_bench.boards import BoardKind, BoardPlan
from virtual_bench.machine import PATIENCE
from virtual_bench.plugboard import Plugboard


@pytest.mark.parametrize("kind", [BoardKind.HID, BoardKind.I2C])
def test_the_vendors_library_reads_the_chip(plugboard: Plugboard, kind: BoardKind) -> None:
    plugboard.make(BoardPlan("board", kind, firmware=PARSER3.name))
    node = plugboard.plug("board")
    bus = [node.path.name.removeprefix("i2c-")] if kind is BoardKind.I2C else []
    command = (sys.executable, "-m", "virtual_bench.guest.vendor_program", kind.value, *bus)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    serial_number, zone = done.stdout.split()
    assert bytes.fromhex(serial_number) == plugboard.serial_number("board")
    assert bytes.fromhex(zone) == plugboard.chip("board").config
