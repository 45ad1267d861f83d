"""Traces: what a HAL carried is in the file, secrets are not, and a damaged file is refused with its line."""

from __future__ import annotations

import errno
import json
import stat
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, TransportError, UsageError, open_hal, read_trace
from atcaprov.chip.commands import Opcode
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.masking import masked_packets
from atcaprov.hal.tracing.trace_file import TraceEvent, TraceWriter, create_trace, parse_trace
from tests.support.chips import packet

_SECRET = bytes(range(0x60, 0x80))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.jsonl"


def _drive(hal: TracedHal) -> None:
    hal.wake()
    hal.exchange(packet(Opcode.INFO))
    hal.idle()
    with pytest.raises(TransportError):
        hal.exchange(packet(Opcode.INFO))
    hal.sleep()


def test_trace_has_calls_and_replies(path: Path) -> None:
    hal = TracedHal(open_hal("emulator:"), create_trace(path, "emulator:"))
    _drive(hal)
    hal.close()
    trace = read_trace(path)
    assert trace.device == "emulator:"
    assert [(event.do, event.sent, event.got, event.error) for event in trace.events] == [
        ("wake", "", "", ""),
        ("exchange", "0730000000035d", "07000060028038", ""),
        ("idle", "", "", ""),
        ("exchange", "0730000000035d", "", "device-no-reply"),
        ("sleep", "", "", ""),
    ]
    assert [event.at for event in trace.events] == sorted(event.at for event in trace.events)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_existing_file_becomes_private_and_link_is_not_followed(path: Path) -> None:
    path.write_text("old")
    path.chmod(0o644)
    create_trace(path, "emulator:").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "old" not in path.read_text()
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(UsageError) as refused:
        create_trace(link, "emulator:")
    assert refused.value.code == Code.FILE_UNWRITABLE


def test_each_line_is_in_the_file_before_the_next_call(path: Path) -> None:
    hal = TracedHal(open_hal("emulator:"), create_trace(path, "emulator:"))
    hal.wake()
    assert len(read_trace(path).events) == 1
    hal.close()


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (packet(Opcode.PRIV_WRITE, 0, 0, bytes(4) + _SECRET + bytes(32)), bytes.fromhex("04000340")),
        (packet(Opcode.WRITE, 0x82, 0x18, _SECRET), bytes.fromhex("04000340")),
        (packet(Opcode.WRITE, 0xC2, 0x18, _SECRET + bytes(32)), bytes.fromhex("04000340")),
        (packet(Opcode.CHECK_MAC, 1, 3, bytes(32) + _SECRET + bytes(13)), bytes.fromhex("04000340")),
        (packet(Opcode.DERIVE_KEY, 4, 3, _SECRET), bytes.fromhex("04000340")),
        (packet(Opcode.MAC, 0x01, 3), b"\x23" + _SECRET + b"\0\0"),
        (packet(Opcode.MAC, 0x00, 2, _SECRET), bytes.fromhex("04000340")),
        (packet(Opcode.NONCE, 0x03, 0, _SECRET), bytes.fromhex("04000340")),
        (packet(Opcode.NONCE, 0x83, 0, _SECRET), bytes.fromhex("04000340")),
        (packet(Opcode.AES, 0, 9, _SECRET[:16]), b"\x13" + _SECRET[:16] + b"\0\0"),
        (packet(Opcode.ECDH, 0x0C, 0, bytes(64)), b"\x23" + _SECRET + b"\0\0"),
        (packet(Opcode.KDF, 0x10, 0, bytes(20)), b"\x23" + _SECRET + b"\0\0"),
        (packet(Opcode.RANDOM), b"\x23" + _SECRET + b"\0\0"),
        (packet(Opcode.SHA, 0x06), b"\x27" + _SECRET + bytes(6)),
        (packet(Opcode.SHA, 0x07, 40, _SECRET + bytes(8)), bytes.fromhex("04000340")),
    ],
    ids=lambda value: value.hex()[:6],
)
def test_possible_secrets_are_masked(sent: bytes, got: bytes) -> None:
    texts = masked_packets(sent, got)
    assert all(_SECRET[:16].hex() not in text for text in texts)
    assert [len(text) for text in texts] == [2 * len(sent), 2 * len(got)]
    assert texts[0].startswith(sent[:5].hex())
    parse_trace(_file(TraceEvent("exchange", *texts)))


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (packet(Opcode.WRITE, 0x80, 0x08, _SECRET), bytes.fromhex("04000340")),
        (packet(Opcode.NONCE, 0x43, 0, _SECRET), bytes.fromhex("04000340")),
        (packet(Opcode.READ, 0x82, 0x50), b"\x23" + _SECRET + b"\0\0"),
        (packet(Opcode.ECDH, 0x0C, 0, bytes(64)), bytes.fromhex("040f2342")),
    ],
    ids=lambda value: value.hex()[:6],
)
def test_public_data_stays_readable(sent: bytes, got: bytes) -> None:
    assert masked_packets(sent, got) == (sent.hex(), got.hex())


def test_a_recording_keeps_every_byte() -> None:
    file = StringIO()
    hal = TracedHal(open_hal("emulator:"), TraceWriter(file, "emulator:"), recording=True)
    hal.wake()
    reply = hal.exchange(packet(Opcode.RANDOM))
    assert parse_trace(file.getvalue()).events[-1].got == reply.hex()


def test_a_last_line_without_its_end_is_left_out() -> None:
    text = _file(TraceEvent("wake"), TraceEvent("idle"))
    whole = parse_trace(text)
    for length in range(text.index("\n") + 1, len(text)):
        assert parse_trace(text[:length]).events == whole.events[: text[:length].count("\n") - 1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"do": "lock"}', "'do' is 'lock'"),
        ('{"do": "exchange"}', "only 'exchange' has a packet"),
        ('{"do": "wake", "sent": "07"}', "only 'exchange' has a packet"),
        ('{"do": "exchange", "sent": "7"}', "'sent' is not hexadecimal"),
        ('{"do": "exchange", "sent": "07", "got": "0."}', "'got' is not hexadecimal"),
        ('{"do": "exchange", "sent": 7}', "must be strings"),
        ('{"do": "wake", "at": "soon"}', "must be numbers"),
        ('{"do": "wake", "at": NaN}', "must be numbers"),
        ('{"do": "wake", "at": Infinity}', "must be numbers"),
        ('{"do": "wake", "at": -1}', "must be numbers"),
        ('{"do": "wake", "at": 1' + "0" * 400 + "}", "must be numbers"),
        ('{"do": "wake", "at": 1' + "0" * 5000 + "}", "not JSON"),
        ('{"do": "exchange", "sent": "07", "took": 1e10}', "must be numbers"),
    ],
)
def test_invalid_line_is_named(line: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"line 3: .*{reason}") as caught:
        parse_trace(_file(TraceEvent("wake")) + line + "\n")
    assert caught.value.code == Code.FILE_INVALID


@pytest.mark.parametrize(
    "head", ["", "{}\n", '{"format": "atcaprov trace", "version": 2}\n', '{"format": "chip", "version": 1}\n']
)
def test_file_without_valid_first_line_is_refused(head: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_trace(head)
    assert caught.value.code == Code.FILE_INVALID


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\n")
    for name, code in (("missing", Code.FILE_UNREADABLE), ("binary", Code.FILE_INVALID)):
        with pytest.raises(UsageError) as caught:
            read_trace(tmp_path / name)
        assert caught.value.code == code
        assert name in caught.value.what
    with pytest.raises(UsageError) as caught:
        create_trace(tmp_path / "no folder" / "trace", "emulator:")
    assert caught.value.code == Code.FILE_UNWRITABLE


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda content: content.decode("latin-1")))
def test_garbage_is_refused_with_one_error(garbage: str) -> None:
    assert {_refusal(garbage), _refusal(_file() + garbage + "\n")} <= {None, Code.FILE_INVALID}


def _refusal(text: str) -> str | None:
    try:
        parse_trace(text)
    except UsageError as error:
        return error.code
    return None


def _file(*events: TraceEvent) -> str:
    head = json.dumps({"format": "atcaprov trace", "version": 1, "device": "emulator:"})
    return "\n".join([head, *(event.to_line() for event in events), ""])


def test_end_line_says_whether_trace_is_complete(path: Path) -> None:
    hal = TracedHal(open_hal("emulator:"), create_trace(path, "emulator:"))
    _drive(hal)
    assert not read_trace(path).complete
    hal.close()
    hal.close()
    assert read_trace(path).complete
    text = path.read_text()
    assert text.endswith('{"end": "complete"}\n')
    assert not parse_trace(text.replace("complete", "incomplete")).complete
    with pytest.raises(UsageError) as refused:
        parse_trace(text + '{"at": 9, "do": "wake"}\n')
    assert refused.value.code == Code.FILE_INVALID


class FullFile(StringIO):
    """Takes the first lines and no more."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.left = lines

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_recording_with_a_gap_is_an_error() -> None:
    hal = TracedHal(open_hal("emulator:"), TraceWriter(FullFile(2), "emulator:"), recording=True)
    hal.wake()
    with pytest.raises(UsageError) as refused:
        hal.exchange(packet(Opcode.INFO))
    assert refused.value.code == Code.FILE_UNWRITABLE


@pytest.mark.parametrize("lines", range(1, 7))
def test_chip_works_on_when_trace_cannot_be_written(lines: int) -> None:
    told: list[UsageError] = []
    hal = TracedHal(open_hal("emulator:"), TraceWriter(FullFile(lines), "emulator:"), on_loss=told.append)
    _drive(hal)
    assert told == []
    hal.close()
    hal.close()
    assert [error.code for error in told] == [Code.FILE_UNWRITABLE]
