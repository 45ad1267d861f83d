"""What is reported of a board: the proof, the fate and the stages; and that a report never changes the fate."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import (
    AtcaProvError,
    Board,
    CertificateError,
    Code,
    DeliveredPart,
    Device,
    Profile,
    Provisioner,
    Stage,
    StageStatus,
    TransportError,
    UsageError,
)
from atcaprov.certs.possession_proof import contents_digest, is_possession_proof, possession_digest
from atcaprov.certs.rebuild import SlotContent
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.provisioning.board_report import FILE_SIZE_MAX, BoardReport
from atcaprov.provisioning.server_exchange import send_report
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.older_programs import read_as_before
from tests.support.reports import ReportingFunctions, is_proof
from tests.support.scripted_hal import ScriptedHal
from tests.support.wire_examples import FAILURE_REPORT, REPORT


@pytest.fixture
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.fixture
def functions(authority: MemoryCa) -> ReportingFunctions:
    return ReportingFunctions(authority)


def _provision(functions: InMemory, hal: ScriptedHal, **profile: Any) -> bytes:
    """Run all stages; return the device certificate."""
    with Device(hal) as device:
        provisioner = Provisioner(Profile(**profile), functions.authority.cert_info, functions)
        return provisioner.provision(device).device_certificate


def _contents(hal: ScriptedHal, functions: InMemory) -> bytes:
    """Return what was read back, as docs/reference/wire-protocol.md writes it out, from the chip's memory."""
    parts = b""
    for slot, size in ((10, 72), (11, 72), (12, 72)):
        if any(write.slot == slot for write in next(iter(functions.authority.issued.values())).writes):
            data = hal.memory.read_slot(slot, 0, size)
            parts += bytes([slot, 0, 0, 0, size]) + data
    return parts


def _spoil(hal: ScriptedHal) -> None:
    """Change a bit of the certificate on the chip."""
    byte = hal.memory.read_slot(10, 8, 1)[0]
    hal.memory.write_slot(10, 8, bytes([byte ^ 1]))


def test_good_board_is_reported_with_a_proof(functions: ReportingFunctions) -> None:
    hal = ScriptedHal()
    certificate = _provision(functions, hal)
    assert len(functions.reports) == 1
    report = functions.last
    assert report.request.challenge == functions.authority.challenges[-1]
    assert report.request.certificate_sha256 == hashlib.sha256(certificate).digest()
    assert (report.certificate, report.fate, report.code) == (certificate, Board.GOOD, "")
    assert is_proof(certificate, report, _contents(hal, functions))


@pytest.mark.slow
def test_another_challenge_certificate_or_content_is_not_proven(functions: ReportingFunctions) -> None:
    certificate = _provision(functions, ScriptedHal())
    report = functions.last
    for name in ("challenge", "contents_sha256"):
        assert not is_proof(certificate, BoardReport(replace(report.request, **{name: bytes(32)}), certificate))  # type: ignore[arg-type]
    other = _provision(functions, ScriptedHal())
    assert not is_proof(other, report)


def test_stages_are_reported_in_their_order(functions: ReportingFunctions) -> None:
    _provision(functions, ScriptedHal())
    stages = functions.last.request.stages
    assert [stage.stage for stage in stages] == list(range(1, 11))
    assert {stage.stage: stage.outcome for stage in stages if stage.outcome != "done"} == {9: "skipped"}


@pytest.mark.slow
def test_proof_costs_no_further_command(authority: MemoryCa) -> None:
    without, with_challenge = ScriptedHal(), ScriptedHal()
    _provision(InMemory(authority), without)
    _provision(ReportingFunctions(authority), with_challenge)
    names = [[packet[1] for packet in hal.packets] for hal in (without, with_challenge)]
    assert names[0] == names[1]
    assert names[0].count(Opcode.SIGN) == 1


def test_chip_signs_after_everything_was_read_back(functions: ReportingFunctions) -> None:
    hal = ScriptedHal()
    _provision(functions, hal)
    assert hal.packets[-1][1] == Opcode.SIGN
    digest = next(packet for packet in reversed(hal.packets) if packet[1] == Opcode.NONCE)[5:37]
    request = functions.last.request
    assert digest == possession_digest(request.challenge, request.certificate_sha256, request.contents_sha256)
    assert digest != request.challenge


def test_chip_with_a_wrong_certificate_signs_nothing(functions: ReportingFunctions) -> None:
    hal = ScriptedHal()

    def spoilt(packet: bytes) -> bytes:
        if functions.notices[-1:] == [(Stage.VALIDATE_CERTS, StageStatus.START)]:
            _spoil(hal)
            hal.answer = None
        return hal.chip.exchange(packet)

    hal.answer = spoilt
    with pytest.raises(CertificateError):
        _provision(functions, hal)
    assert Opcode.SIGN not in [packet[1] for packet in hal.packets]
    report = functions.last
    assert (report.fate, report.code) == (Board.SCRAP, Code.CERTIFICATE_MISMATCH)
    assert (report.request.signature, report.request.contents_sha256) == (b"", b"")
    assert report.request.stages[-1].outcome == "error"


def test_wrong_signature_is_found_here_and_not_reported_as_a_proof(functions: ReportingFunctions) -> None:
    hal = ScriptedHal()

    def forged(packet: bytes) -> bytes:
        reply = hal.chip.exchange(packet)
        if packet[1] != Opcode.SIGN:
            return reply
        return with_crc(bytes([reply[0]]) + bytes([reply[1] ^ 1]) + reply[2:-2])

    hal.answer = forged
    with pytest.raises(CertificateError) as refused:
        _provision(functions, hal)
    assert refused.value.code == Code.KEY_MISMATCH
    assert not functions.last.has_proof


def test_no_validate_reports_without_a_proof(functions: ReportingFunctions) -> None:
    _provision(functions, ScriptedHal(), validate=False)
    assert (functions.last.fate, functions.last.has_proof) == (Board.GOOD, False)
    assert functions.last.request.stages[-1].outcome == "skipped"


def test_server_without_challenges_gets_no_report(functions: ReportingFunctions) -> None:
    functions.authority.gives_challenges = False
    _provision(functions, ScriptedHal())
    assert functions.reports == []


@pytest.mark.slow
def test_board_that_comes_again_answers_a_fresh_challenge(functions: ReportingFunctions) -> None:
    hal = ScriptedHal()
    certificate = _provision(functions, hal)
    _provision(functions, hal)
    first, second = functions.reports
    assert first.request.challenge != second.request.challenge
    assert is_proof(certificate, second)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [Stage.CERTS_WRITE, Stage.DATA_LOCK, Stage.VALIDATE_CERTS])
def test_run_that_is_cut_is_reported_and_resumed_with_a_fresh_challenge(
    functions: ReportingFunctions, stage: Stage
) -> None:
    hal = ScriptedHal()

    def cut(packet: bytes) -> bytes:
        if functions.notices[-1:] == [(stage, StageStatus.START)]:
            raise TransportError("Unplugged.", code=Code.DEVICE_NO_REPLY)
        return hal.chip.exchange(packet)

    hal.answer = cut
    with pytest.raises(TransportError):
        _provision(functions, hal)
    assert (functions.last.fate, functions.last.code) == (Board.RETRY, Code.DEVICE_NO_REPLY)
    hal.answer = None
    certificate = _provision(functions, hal)
    assert is_proof(certificate, functions.last)
    assert len({report.request.challenge for report in functions.reports}) == 2


def test_ctrl_c_is_reported_as_interrupted(functions: ReportingFunctions) -> None:
    hal = ScriptedHal()

    def interrupted(packet: bytes) -> bytes:
        if functions.notices[-1:] == [(Stage.DATA_LOCK, StageStatus.START)]:
            raise KeyboardInterrupt
        return hal.chip.exchange(packet)

    hal.answer = interrupted
    with pytest.raises(KeyboardInterrupt):
        _provision(functions, hal)
    assert (functions.last.fate, functions.last.code) == (Board.RETRY, Code.INTERRUPTED)


@pytest.mark.slow
def test_failure_before_stage_1_of_a_board_with_a_challenge_is_reported(functions: ReportingFunctions) -> None:
    hal = ScriptedHal()
    _provision(functions, hal)
    _spoil(hal)
    with pytest.raises(AtcaProvError):
        _provision(functions, hal, slots_to_lock=(13,))
    assert functions.last.fate == Board.SCRAP
    assert functions.last.request.stages == ()


@pytest.mark.parametrize("error", [UsageError("Full.", code=Code.DISK_FULL), ValueError("a bug")])
def test_report_that_cannot_be_kept_is_a_warning_and_the_board_stays_good(
    functions: ReportingFunctions, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(report: BoardReport) -> None:
        raise error

    monkeypatch.setattr(functions, "report", fails)
    assert _provision(functions, ScriptedHal())
    (warning,) = functions.warnings
    assert str(error).split(" ")[0] in warning.what


def test_error_of_a_run_is_told_although_its_report_cannot_be_kept(
    functions: ReportingFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(report: BoardReport) -> None:
        raise UsageError("Full.", code=Code.DISK_FULL)

    monkeypatch.setattr(functions, "report", fails)
    hal = ScriptedHal()

    def cut(packet: bytes) -> bytes:
        if functions.notices[-1:] == [(Stage.DATA_LOCK, StageStatus.START)]:
            raise TransportError("Unplugged.")
        return hal.chip.exchange(packet)

    hal.answer = cut
    with pytest.raises(TransportError, match="Unplugged"):
        _provision(functions, hal)
    assert [warning.code for warning in functions.warnings] == [Code.DISK_FULL]


def test_functions_of_before_reports_still_work(authority: MemoryCa) -> None:
    authority.gives_challenges = True
    functions = InMemory(authority)
    assert _provision(functions, ScriptedHal())
    assert authority.reported == []


class OlderServer(InMemory):
    """A server of before reports: it reads what it knows, and refuses the rest."""

    def certreq_send(self, data: bytes) -> None:
        assert read_as_before(data)
        super().certreq_send(data)


@pytest.mark.slow
def test_older_server_understands_all_that_is_sent_to_it(authority: MemoryCa) -> None:
    functions = OlderServer(authority)
    hal = ScriptedHal()
    for _ in range(2):
        assert _provision(functions, hal)
    assert len(functions.requests) == 4


@pytest.mark.slow
@pytest.mark.parametrize("slot", [0, 2], ids=["maker's key", "new key"])
def test_trust_flex_part_is_proven(slot: int) -> None:
    functions = ReportingFunctions(MemoryCa(private_key=slot))
    hal = ScriptedHal("emulator:?image=tflxtls")
    certificate = _provision(
        functions, hal, part=DeliveredPart.TFLXTLS, replace_certificates=True, device_key_slot=slot
    )
    assert is_proof(certificate, functions.last, _contents(hal, functions))


def test_report_is_sent_over_any_transport(functions: ReportingFunctions) -> None:
    _provision(functions, ScriptedHal())
    assert send_report(functions, functions.last).proven
    assert [replace(request, request_number=0) for request in functions.authority.reported] == [functions.last.request]


def test_only_the_report_tells_what_was_given_to_the_log(
    functions: ReportingFunctions, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        _provision(functions, ScriptedHal())
    assert functions.last.request.signature.hex() not in caplog.text.lower()


def test_contents_are_ordered_and_counted_once() -> None:
    parts = [SlotContent(12, 0, b"b"), SlotContent(10, 4, b"aa"), SlotContent(12, 0, b"b"), SlotContent(10, 0, b"c")]
    expected = bytes.fromhex("0A00000001") + b"c" + bytes.fromhex("0A00040002") + b"aa"
    expected += bytes.fromhex("0C00000001") + b"b"
    assert contents_digest(parts) == hashlib.sha256(expected).digest()


@given(st.binary(min_size=64, max_size=64))
def test_signature_of_garbage_is_not_a_proof(signature: bytes) -> None:
    authority = _CA
    assert not is_possession_proof(authority.signer_public_key, signature, bytes(32), bytes(32), bytes(32))


_CA = MemoryCa()


@pytest.mark.parametrize("request_", [REPORT, FAILURE_REPORT], ids=["good", "failed"])
def test_kept_report_is_read_again(request_: Any) -> None:
    report = BoardReport(request_, b"\x30\x00" * 1024)
    data = report.to_bytes()
    assert len(data) < FILE_SIZE_MAX
    assert BoardReport.from_bytes(data) == report


@pytest.mark.slow
def test_cut_or_changed_report_is_damaged() -> None:
    data = BoardReport(REPORT, b"\x30\x00").to_bytes()
    for size in range(len(data) - 1):
        with pytest.raises(UsageError, match="damaged"):
            BoardReport.from_bytes(data[:size])
    fields = json.loads(data)
    values: tuple[object, ...] = (None, 7, "", "AAAA", "!", [], {})
    for name in ("report", "certificate", "sha256", "version"):
        for value in values:
            with pytest.raises(UsageError, match="damaged"):
                BoardReport.from_bytes(json.dumps({**fields, name: value}).encode())


@given(st.binary(max_size=300))
def test_garbage_is_a_damaged_report(data: bytes) -> None:
    with pytest.raises(UsageError, match="damaged"):
        BoardReport.from_bytes(data)


@given(st.data())
def test_flipped_bit_in_a_kept_report_is_noticed_or_means_nothing(data: st.DataObject) -> None:
    report = BoardReport(REPORT, b"\x30\x00")
    kept = bytearray(report.to_bytes())
    position = data.draw(st.integers(0, len(kept) * 8 - 1))
    kept[position // 8] ^= 1 << position % 8
    with contextlib.suppress(UsageError):
        assert BoardReport.from_bytes(bytes(kept)) == report
