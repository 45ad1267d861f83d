"""What a run tells the server besides the chip, and how it waits for a busy one."""

from __future__ import annotations

from typing import Any

import pytest

from atcaprov import (
    AtcaProvError,
    Board,
    BoardReport,
    Code,
    Device,
    Profile,
    Provisioned,
    Provisioner,
    ServerRejected,
    UsageError,
)
from atcaprov.emulator.chip import Power
from atcaprov.hal.emulated import EmulatedHal
from atcaprov.provisioning.server_exchange import BUSY_SECONDS_MAX
from atcaprov.wire.messages import AnyMessage, CertificatesReply, CertificatesRequest, ErrorReply, SignerRequest
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal


class Functions(InMemory):
    """Name labels by their chips; keep reports, ids, and the waits for a busy server."""

    def __init__(self, authority: MemoryCa, hal: ScriptedHal) -> None:
        super().__init__(authority)
        self.hal = hal
        self.begun: list[bytes] = []
        self.reports: list[BoardReport] = []
        self.named: list[bytes] = []
        self.waits: list[float] = []

    def run_begins(self, request_id: bytes) -> None:
        self.begun.append(request_id)

    def unit_label(self, serial_number: bytes) -> str:
        self.named.append(serial_number)
        return f"L {serial_number.hex()}"

    def report(self, report: BoardReport) -> None:
        self.reports.append(report)

    def wait_for_server(self, seconds: float, reason: AtcaProvError) -> None:
        assert reason.code == Code.SERVER_BUSY
        self.waits.append(seconds)
        assert isinstance(self.hal.chip, EmulatedHal)
        assert self.hal.chip.chip.power is not Power.AWAKE


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.fixture
def hal() -> ScriptedHal:
    return ScriptedHal()


@pytest.fixture
def functions(authority: MemoryCa, hal: ScriptedHal) -> Functions:
    return Functions(authority, hal)


def provision(functions: Functions, *, knows_chip: bool = True, **names: str) -> Provisioned:
    with Device(functions.hal) as device:
        serial = device.serial_number() if knows_chip else b""
        provisioner = Provisioner(Profile(), functions.authority.cert_info, functions, **names)
        return provisioner.provision(device, serial)


def told(request: AnyMessage) -> tuple[Any, ...]:
    assert isinstance(request, SignerRequest | CertificatesRequest)
    return request.request_id, request.order, request.product, request.unit, request.label


def test_all_messages_of_a_run_tell_the_same(functions: Functions, authority: MemoryCa) -> None:
    authority.gives_challenges = True
    result = provision(functions, order="WO-7", product="lamp")
    (request_id,) = functions.begun
    serial = result.serial_number
    expected = (request_id, "WO-7", "lamp", "", f"L {serial.hex()}")
    assert {told(request) for request in functions.requests} == {expected}
    assert {type(request) for request in functions.requests} == {SignerRequest, CertificatesRequest}
    assert len(request_id) == 16
    assert result.request_id == request_id
    (report,) = functions.reports
    assert report.request.request_id == request_id
    authority.gives_challenges = False


def test_each_run_has_an_id_of_its_own(functions: Functions) -> None:
    provision(functions)
    provision(functions)
    assert len(set(functions.begun)) == 2


def test_label_is_told_before_stage_1_also_if_the_caller_did_not_read_the_chip(functions: Functions) -> None:
    result = provision(functions, knows_chip=False)
    *before, last = functions.requests
    assert told(last) == told(before[-1]), "the last of them asks for certificates"
    assert isinstance(before[-1], SignerRequest)
    assert functions.named == [result.serial_number]


@pytest.mark.parametrize("order", ["x" * 65, "line\nbreak"])
def test_order_that_is_no_name_is_refused_before_a_chip_is_touched(functions: Functions, order: str) -> None:
    provisioner = Provisioner(Profile(), functions.authority.cert_info, functions, order=order)
    with pytest.raises(UsageError, match="order") as refused:
        provisioner.prepare()
    assert refused.value.board is Board.UNTOUCHED
    assert functions.requests == []


def busy(functions: Functions, times: int, milliseconds: int, kind: type[object] = object) -> None:
    """Let the server be busy so often for answers of a kind."""
    left = times

    def tamper(reply: AnyMessage) -> AnyMessage:
        nonlocal left
        if left and isinstance(reply, kind):
            left -= 1
            return ErrorReply(Code.SERVER_BUSY.value, "Too many requests.", True, retry_after=milliseconds)
        return reply

    functions.tamper = tamper


@pytest.mark.parametrize("kind", [object, CertificatesReply])
def test_busy_server_is_asked_again_when_it_says(functions: Functions, kind: type[object]) -> None:
    busy(functions, 3, 2000, kind)
    provision(functions)
    assert len(functions.waits) == 3
    assert all(2 <= wait <= 2.5 for wait in functions.waits)
    assert len(set(functions.waits)) > 1, "stations do not return all at once"


def test_busy_server_is_not_waited_for_without_end(functions: Functions) -> None:
    busy(functions, 10**9, 3000)
    with pytest.raises(ServerRejected, match="Too many") as refused:
        provision(functions)
    assert refused.value.board is Board.UNTOUCHED
    assert BUSY_SECONDS_MAX / 2 < sum(functions.waits) <= BUSY_SECONDS_MAX


@pytest.mark.parametrize("milliseconds", [0, 3_600_000])
def test_long_or_unknown_wait_is_left_to_the_operator(functions: Functions, milliseconds: int) -> None:
    busy(functions, 1, milliseconds)
    with pytest.raises(ServerRejected):
        provision(functions)
    assert functions.waits == []


class TwoServers(Functions):
    """Two servers, by name; the first one is busy for long."""

    asked = "first"

    @property
    def servers(self) -> tuple[str, ...]:
        return "first", "second"

    @property
    def server(self) -> str:
        return self.asked

    def use_server(self, server: str) -> None:
        self.asked = server

    def certreq_send(self, data: bytes) -> None:
        self.tamper = self.busy_for_long if self.asked == "first" else lambda reply: reply
        super().certreq_send(data)

    def busy_for_long(self, _: AnyMessage) -> AnyMessage:
        return ErrorReply(Code.SERVER_BUSY.value, "Too many requests.", True, retry_after=7000)


def test_server_that_stays_busy_gives_way_to_another_one(authority: MemoryCa, hal: ScriptedHal) -> None:
    functions = TwoServers(authority, hal)
    assert provision(functions).server == "second"
    assert 2 <= len(functions.waits) <= 4
    assert sum(functions.waits) <= BUSY_SECONDS_MAX
    (warning,) = functions.warnings
    assert "continue with the server at second" in warning.advice
