from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.kit_protocol.framing import LINE_LIMIT, REPORT_ID, REPORT_SIZE, LineBuffer, ReportBuffer, to_reports

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "kit-exchanges.json").read_text())
HID = VECTORS["hid_framing"]


@pytest.mark.slow
@given(st.lists(st.binary(min_size=1, max_size=40).filter(lambda line: min(line) >= 0x20), max_size=6), st.data())
def test_lines_come_out_whole_however_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n\0" for line in lines)
    buffer, found = LineBuffer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += buffer.receive_data(stream[:size])
        stream = stream[size:]
    assert found == lines


def test_a_line_without_end_takes_bounded_memory_and_only_itself() -> None:
    buffer = LineBuffer()
    for _ in range(100):
        assert buffer.receive_data(b"x" * 1000) == []
    assert len(buffer._pending) == LINE_LIMIT + 1
    overlong, whole = buffer.receive_data(b"x\ne:w()\n")
    assert len(overlong) == LINE_LIMIT + 1
    assert whole == b"e:w()"


def test_reports_of_the_vendors_library() -> None:
    long = HID["example_long_host_message"]
    assert to_reports(b"E:w()\n") == [bytes.fromhex(HID["example_host_report"])]
    assert (REPORT_ID + to_reports(b"E:w()\n")[0]).hex() == HID["example_host_write_with_report_id"]
    assert [report.hex() for report in to_reports(long["message"].encode())] == long["reports"]
    assert ReportBuffer().receive_report(bytes.fromhex(HID["example_board_report"])) == b"00(04113343)"


@given(st.integers(0, 300), st.sampled_from([b"\0", b"\4", b"\xff", b"A"]))
def test_padding_may_be_anything(size: int, padding: bytes) -> None:
    buffer, line = ReportBuffer(), b"7" * size
    message = line + b"\n"
    message += padding * (-len(message) % REPORT_SIZE)
    *first, last = [message[start : start + REPORT_SIZE] for start in range(0, len(message), REPORT_SIZE)]
    assert [buffer.receive_report(report) for report in first] == [None] * len(first)
    assert buffer.receive_report(last) == line


@pytest.mark.parametrize("report", [b"", b"\0" * 64, b"00()"])
def test_report_without_end_is_not_a_line(report: bytes) -> None:
    buffer = ReportBuffer()
    assert buffer.receive_report(report) is None
    buffer.clear()
    assert buffer.receive_report(b"01()\n") == b"01()"
