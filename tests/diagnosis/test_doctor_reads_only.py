"""Doctor sends nothing that changes a chip, and garbage from a board or a server never ends in a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import read_trace
from atcaprov.device.command_guard import act_of
from atcaprov.device.read_only import ReadOnlyHal, slots_used
from atcaprov.diagnosis.doctor import examine
from atcaprov.diagnosis.examination import Subject
from atcaprov.emulator.images import image_names, load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.state_file import StateFile
from atcaprov.provisioning.server_access import ServerAccess
from tests.diagnosis.cases import answering as answering_server
from tests.support.scripted_hal import ScriptedHal

OPEN = "atcaprov.diagnosis.bus_steps.open_read_only_hal"
REPLIES = st.one_of(st.binary(max_size=160), st.sampled_from([b"", b"\x04\x11\x33\x43", b"\x04\xff\x01\x42"]))


@pytest.mark.slow
@pytest.mark.parametrize("image", image_names())
@pytest.mark.parametrize("locks", ["as delivered", "configuration", "both"])
def test_every_packet_is_harmless_and_the_chip_unchanged(image: str, locks: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "chip.json", tmp_path / "chip.trace"
    memory = load_image(image).make(SeededRandom(image.encode()))
    if locks != "as delivered":
        memory.config[87] = 0
    if locks == "both":
        memory.config[86] = 0
    StateFile(path).keep(memory)
    before = path.read_bytes()
    examine(Subject(f"emulator:{path}", trace=trace))
    sent = [event.sent.replace("..", "00") for event in read_trace(trace).events if event.do == "exchange"]
    packets = [bytes.fromhex(text) for text in sent]
    assert len(packets) > 30
    assert [packet.hex() for packet in packets if act_of(packet) is not None or slots_used(packet) is None] == []
    assert path.read_bytes() == before


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[bytes], bytes]) -> None:
    hal = ScriptedHal()
    hal.answer = answer
    monkeypatch.setattr(OPEN, lambda url, *, trace: ReadOnlyHal(hal))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(REPLIES, min_size=1, max_size=80))
def test_garbage_from_a_board_gives_findings_and_no_traceback(replies: list[bytes]) -> None:
    left = iter(replies * 10)
    with pytest.MonkeyPatch.context() as monkeypatch:
        answering(monkeypatch, lambda packet: next(left, b""))
        examination = examine(Subject("emulator:"))
    assert examination.findings


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.binary(max_size=160))
def test_garbage_at_any_command_gives_findings_and_no_traceback(number: int, garbage: bytes) -> None:
    hal = ScriptedHal()

    def answer(packet: bytes) -> bytes:
        return garbage if len(hal.packets) >= number else hal.chip.exchange(packet)

    hal.answer = answer
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(OPEN, lambda url, *, trace: ReadOnlyHal(hal))
        examination = examine(Subject("emulator:"))
    assert examination.findings


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda body: b"AP" + body)))
def test_garbage_from_a_server_gives_a_finding_and_no_traceback(garbage: bytes) -> None:
    with answering_server(garbage) as port:
        examination = examine(Subject("emulator:", ServerAccess((f"127.0.0.1:{port}",))))
    found = {finding.code for finding in examination.findings} - {"config-open"}
    assert found <= {"not-a-server", "server-dropped"}
    assert found
