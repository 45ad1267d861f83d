"""Whole runs over real buses, with the cable pulled in the middle of every stage."""

from __future__ import annotations

import pytest

from atcaprov import Stage, TransportError
from atcaprov.emulator.chip import Power
from virtual_bench.boards import BoardPlan
from virtual_bench.guest.factory import BenchFactory, WatchedClient, require_finished
from virtual_bench.plugboard import Plugboard
from virtual_bench.ways import Way

MIDDLE = {Stage.CONFIG_WRITE: 5, Stage.CONFIG_READ: 2, Stage.CERTS_WRITE: 5, Stage.VALIDATE_CERTS: 7}
"""The command in the middle of a stage, of those that have several."""


@pytest.mark.parametrize(("way", "reply_lost"), [*((way, True) for way in Way), (Way.CDC, False)])
def test_run_cut_in_the_middle_of_each_stage_is_continued_by_the_next(
    plugboard: Plugboard, factory: BenchFactory, way: Way, reply_lost: bool
) -> None:
    plugboard.make(BoardPlan("board", way.kind))
    for stage in Stage:
        _run_and_pull(plugboard, factory, way, stage, reply_lost=reply_lost)
    result = factory.provision(way.url(plugboard.plug("board")), WatchedClient(factory.address))
    assert result.was_done_before
    chip = plugboard.chip("board")
    require_finished(chip)
    assert chip.power is Power.ASLEEP


def _run_and_pull(plugboard: Plugboard, factory: BenchFactory, way: Way, stage: Stage, *, reply_lost: bool) -> None:
    url = way.url(plugboard.plug("board"))
    client = WatchedClient(factory.address)
    if stage is Stage.CERTS_REQUEST:  # that one asks nothing of the chip: the loss is noticed in the next one
        client.at_start[stage] = lambda: plugboard.pull("board")
    else:
        command = MIDDLE.get(stage, 1)
        client.at_start[stage] = lambda: plugboard.cut_at_command("board", command, before=not reply_lost)
    with pytest.raises(TransportError):
        factory.provision(url, client)
    assert client.started[-1] is (Stage.CERTS_WRITE if stage is Stage.CERTS_REQUEST else stage)
    plugboard.wait_until_gone("board")
