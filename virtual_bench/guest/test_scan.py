"""`provisioning-server --scan`: signer modules that come and go on the same USB as the boards of devices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from atcaprov import Code, ServerRejected, Stage
from atcaprov.wire.messages import CertificatesReply
from virtual_bench.boards import BoardPlan
from virtual_bench.guest.factory import WatchedClient, require_finished
from virtual_bench.guest.scanning import ScanningLine, code_of_retryable, scanning_line
from virtual_bench.plugboard import Plugboard
from virtual_bench.ways import Way

LEAST_COMMANDS = 2
"""A signature takes Nonce and Sign."""


@pytest.fixture(scope="module")
def running_line(tmp_path_factory: pytest.TempPathFactory, bench: Plugboard) -> Iterator[ScanningLine]:
    with scanning_line(tmp_path_factory.mktemp("scanning"), bench) as line:
        yield line


@pytest.fixture
def line(running_line: ScanningLine, plugboard: Plugboard) -> ScanningLine:
    return running_line


def test_a_module_is_found_when_it_comes_and_again_when_it_comes_back(line: ScanningLine) -> None:
    line.plug(line.first)
    line.require_certified(1, line.ask(1))
    line.unplug(line.first)
    assert code_of_retryable(line.ask(2)) == Code.SIGNER_UNPLUGGED
    line.plug(line.first)
    line.require_certified(2, line.ask(2))
    line.unplug(line.first)


def test_pulled_at_any_command_of_a_signature_the_request_may_be_made_again(line: ScanningLine) -> None:
    for command in itertools.count(1):
        line.plug(line.first)
        line.plugboard.cut_at_command(line.first.board, command, before=bool(command % 2))
        reply = line.ask(10)
        if isinstance(reply, CertificatesReply):
            break
        assert code_of_retryable(reply) == Code.SIGNER_UNPLUGGED
        line.plugboard.wait_until_gone(line.first.board)
    assert command > LEAST_COMMANDS
    line.require_certified(10, reply)
    line.unplug(line.first)


def test_what_a_pulled_module_was_at_goes_to_another_of_its_group(line: ScanningLine) -> None:
    for module in (line.first, line.second):
        line.plug(module)
    line.plugboard.cut_at_command(line.first.board, LEAST_COMMANDS, before=True)
    # Two requests at once keep both modules busy, unless one is so fast that it does both.
    with line.client() as left, line.client() as right:
        for number in range(20, 40, 2):
            wires = {number: left, number + 1: right}
            for each, wire in wires.items():
                wire.send(line.request(each, any_of_group=True))
            for each, wire in wires.items():
                line.require_certified(each, wire.receive())
            if not line.plugboard.is_plugged(line.first.board):
                break
    line.plugboard.wait_until_gone(line.first.board)
    line.plug(line.first)
    for module in (line.first, line.second):
        line.unplug(module)


@pytest.mark.parametrize("way", [Way.HIDRAW, Way.CDC])
def test_known_boards_are_identified_once_and_not_asked_again(line: ScanningLine, way: Way) -> None:
    line.plugboard.make(BoardPlan("device", way.kind))
    url = way.url(line.plugboard.plug("device"))
    line.server.wait_for(f"Ignored the device at {url}: ")
    carried = line.plugboard.carried("device")
    line.plug(line.first)
    line.unplug(line.first)
    line.plug(line.first)
    assert line.plugboard.carried("device") == carried
    client = WatchedClient(line.factory.address)
    client.at_start[Stage.CERTS_REQUEST] = lambda: line.unplug(line.first)
    with pytest.raises(ServerRejected) as refused:
        line.factory.provision(url, client)
    assert refused.value.code == Code.SIGNER_UNPLUGGED
    line.plug(line.first)
    line.factory.provision(url, WatchedClient(line.factory.address))
    require_finished(line.plugboard.chip("device"))
    line.unplug(line.first)
