"""Whole runs over real buses: by the program, and with the cable pulled in the middle of every stage."""

from __future__ import annotations

import subprocess
import sys

import pytest

from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, SLOT_LOCKED, UNLOCKED
from atcaprov.emulator.chip import Power
from atcaprov.errors import TransportError
from atcaprov.provisioning.stages import Stage
from tests.bench.boards import BoardPlan
from tests.bench.guest.factory import LOCKED_SLOT, Factory, WatchedClient
from tests.bench.plugboard import Plugboard
from tests.bench.ways import Way


@pytest.mark.parametrize("way", Way)
def test_the_program_provisions_a_board(plugboard: Plugboard, factory: Factory, way: Way) -> None:
    plugboard.make(BoardPlan("board", way.kind))
    url = way.url(plugboard.plug("board"))
    host, port = factory.address
    command = (sys.executable, "-m", "provisioning_client.cli", "--auto", "--device", url)
    options = ("--certinfo", factory.cert_info_file, "--host", host, "--port", str(port))
    slot = ("--lock-slot", str(LOCKED_SLOT))
    done = subprocess.run((*command, *options, *slot), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for stage in Stage:
        assert stage.label.ljust(26, ".") + "done" in done.stdout
    _require_finished(plugboard)


@pytest.mark.parametrize(("way", "reply_lost"), [*((way, True) for way in Way), (Way.CDC, False)])
def test_pulled_in_the_middle_of_each_stage_the_next_run_goes_on(
    plugboard: Plugboard, factory: Factory, way: Way, reply_lost: bool
) -> None:
    plugboard.make(BoardPlan("board", way.kind))
    for stage in Stage:
        _run_and_pull(plugboard, factory, way, stage, reply_lost=reply_lost)
    result = factory.provision(way.url(plugboard.plug("board")), WatchedClient(factory.address))
    assert result.was_done_before
    _require_finished(plugboard)


def _run_and_pull(plugboard: Plugboard, factory: Factory, way: Way, stage: Stage, *, reply_lost: bool) -> None:
    url = way.url(plugboard.plug("board"))
    client = WatchedClient(factory.address)
    client.at_start[stage] = lambda: plugboard.cut_at_command("board", 1, before=not reply_lost)
    with pytest.raises(TransportError):
        factory.provision(url, client)
    assert stage in client.started
    assert client.started[-1] is stage or stage is Stage.CERTS_REQUEST, "that one asks nothing of the chip"
    plugboard.wait_until_gone("board")


def _require_finished(plugboard: Plugboard) -> None:
    chip = plugboard.chip("board")
    assert chip.config[LOCK_CONFIG] != UNLOCKED
    assert chip.config[LOCK_VALUE] != UNLOCKED
    assert int.from_bytes(chip.config[SLOT_LOCKED], "little") == 0xFFFF & ~(1 << LOCKED_SLOT)
    assert chip.power is Power.ASLEEP
