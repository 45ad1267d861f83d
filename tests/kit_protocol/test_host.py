from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Board, Code, DeviceError, ProtocolError, TransportError
from atcaprov.kit_protocol import device_table, host
from atcaprov.kit_protocol.device_table import DeviceEntry, DeviceTable
from atcaprov.kit_protocol.framing import LINE_LIMIT
from atcaprov.kit_protocol.reply import KitReply, parse_reply


def table(answers: Iterable[bytes]) -> DeviceTable:
    left = iter(answers)
    return device_table.converse(device_table.scan(), lambda _request: next(left))


def scan(answers: Iterable[bytes]) -> tuple[DeviceEntry, ...]:
    return table(answers).chips


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"00(04113343)", KitReply("", 0, "04113343")),
        (b"0()", KitReply("", 0, "")),
        (b"FFFFFFF4()", KitReply("", 0xFFFFFFF4, "")),
        (b"C5()", KitReply("", 0xC5, "")),
        (b"c5()\0", KitReply("", 0xC5, "")),
        (b"\0ECC608A TWI 00(C0)", KitReply("ECC608A TWI", 0, "C0")),
        (b"ECC608A TWI 00(C0", KitReply("ECC608A TWI", 0, "C0")),
        (b"no_device ", KitReply("no_device", None, None)),
        (b"no_device C5()", KitReply("no_device", 0xC5, "")),
        (b"AWS IoT Zero Touch Demo ECCx08A TWI(B0)", KitReply("AWS IoT Zero Touch Demo ECCx08A TWI", None, "B0")),
        (b"00(0700) garbage (99)", KitReply("", 0, "0700")),
        (b"E6", KitReply("", 0xE6, None)),
    ],
)
def test_forms_of_an_answer(line: bytes, reply: KitReply) -> None:
    assert parse_reply(line) == reply


@pytest.mark.parametrize("line", [b"", b"\0\0", b"\xff\xfe(00)", b"00(04\x0111)", b"0" * (LINE_LIMIT + 1)])
def test_invalid_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError) as refused:
        parse_reply(line)
    assert refused.value.code == Code.BAD_FRAME
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("line", [b"00(0)", b"00(0G)", b"00(4 1 1)"])
def test_data_are_pairs_of_hex_digits(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        _ = parse_reply(line).data


def test_requests_are_lower_case_words_and_upper_case_digits() -> None:
    assert host.select(0xC0) == b"e:physical:select(C0)\n"
    assert device_table.device(11) == b"board:device(0B)\n"
    assert host.talk(bytes.fromhex("0730000000035d")) == b"e:t(0730000000035D)\n"
    assert (host.WAKE, host.IDLE, host.SLEEP) == (b"e:w()\n", b"e:i()\n", b"e:s()\n")


def test_chip_after_an_empty_entry_is_found() -> None:
    answers = [b"no_device C5()", b"ECC608A TWI 00(C0)", b"no_device ", b"ECC608B TWI 00(6A)", b"C5()"]
    assert scan(answers) == (
        DeviceEntry("ECC608A", "TWI", 0xC0),
        DeviceEntry("ECC608B", "TWI", 0x6A),
    )


@pytest.mark.parametrize("empty", [b"no_device ", b"no_device C5()", b"ECC608A TWI C5()"])
def test_an_empty_entry_is_not_taken_for_a_damaged_one(empty: bytes) -> None:
    other = DeviceEntry("ECC608A", "TWI", 0x6A)
    assert table([empty, empty, b"ECC608A TWI 00(6A)", b"C5()"]) == DeviceTable((other,), is_whole=True)


def test_damaged_entry_is_requested_again_and_then_skipped() -> None:
    first, second = DeviceEntry("ECC608A", "TWI", 0xC0), DeviceEntry("ECC608A", "TWI", 0x6A)
    noise = b"\xff\xff"
    assert scan([b"ECC608A TWI 00(C0)", noise, b"ECC608A TWI 00(6A)", b"C5()"]) == (first, second)
    assert scan([b"ECC608A TWI 00(C0)", noise, noise, b"ECC608A TWI 00(6A)", b"C5()"]) == (first, second)


@pytest.mark.parametrize(
    ("name", "is_atecc"),
    [
        *((name, True) for name in ("ECC108", "ECC508A", "ECC608B", "ECCx08A", "ATECC608A", "ecc608")),
        *((name, False) for name in ("SHA204", "SHA204A", "ATSHA204A", "AES132", "TA100")),
    ],
)
def test_parts_of_a_board(name: str, is_atecc: bool) -> None:
    (entry,) = scan([f"{name} TWI 00(C0)".encode(), b"C5()"])
    assert entry.is_atecc is is_atecc


@pytest.mark.parametrize(
    ("line", "talk"),
    [
        (b"00()", host.Talk.ATOMIC),
        (b"C0()", host.Talk.PLAIN),
        (b"C3()", host.Talk.PLAIN),
        (b"FFFFFFE2()", host.Talk.WHOLE),
    ],
)
def test_how_a_firmware_talks(line: bytes, talk: host.Talk) -> None:
    assert host.kind_of_talk(line) is talk


@pytest.mark.parametrize("line", [b"00(04113343)", b"no_device ", b"ECC608A TWI 00(C0)", b'{"error": 1}'])
def test_answer_that_does_not_show_the_kind_of_firmware(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        host.kind_of_talk(line)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [("D0", "did not wake"), ("D2", "does not know the command"), ("EB", "in time"), ("FFFFFFD0", "did not wake")],
)
def test_a_status_of_the_kit_is_named(status: str, meaning: str) -> None:
    with pytest.raises(TransportError, match=meaning):
        host.check_done(f"{status}()".encode())


def test_every_status_that_published_firmwares_send_has_a_meaning() -> None:
    for status in bytes.fromhex("C0C1C2C3C4C5 D0D2 E2E4E6E7EAEBED F0F4F7"):
        with pytest.raises(TransportError) as refused:
            host.check_done(b"%02X()" % status)
        assert "no reason" not in refused.value.what


def test_a_board_that_repeats_an_entry_has_it_once() -> None:
    assert scan([b"ECC608A TWI 00(C0)"] * device_table.TABLE_SIZE) == (DeviceEntry("ECC608A", "TWI", 0xC0),)


def test_chip_of_a_board_without_table_is_found_by_version() -> None:
    answers = [b'{"error": 1}'] * (2 * device_table.TABLE_SIZE) + [b"AWS IoT Zero Touch Demo ECCx08A TWI(B0)"]
    assert scan(answers) == (DeviceEntry("ECCx08A", "TWI", 0xB0),)


@pytest.mark.parametrize(
    "entry",
    [
        b"ECC608A TWI 00()",
        b"ECC608A TWI 00(C0C0)",
        b"ECC608A TWI C5(C0)",
        b"TWI 00(C0)",
        b"no_device TWI 00(C0)",
    ],
)
def test_odd_entry_is_not_a_chip(entry: bytes) -> None:
    assert scan([entry, b"C5()", b"C0()"]) == ()


@pytest.mark.parametrize(
    "cut", [b"\xff", b"ECC608A", b"ECC608A TWI", b"ECC608A TWI 00(", b"ECC608A TWI 00(C", b"no_", b"00()", b"00"]
)
def test_damaged_entry_is_not_reported_as_a_missing_chip(cut: bytes) -> None:
    other = DeviceEntry("ECC608A", "TWI", 0x6A)
    assert scan([cut, b"ECC608A TWI 00(6A)", b"C5()"]) == (other,)
    assert table([cut, cut, b"ECC608A TWI 00(6A)", b"C5()"]) == DeviceTable((other,), is_whole=False)
    with pytest.raises(ProtocolError):
        scan([cut, cut, b"C5()", b"C0()"])


@pytest.mark.parametrize(
    "noise", [b"00", b"00()", b"()", b"Temp: 23.5 C", b"17(zz)", b"\xff\xff", b"00(04113343)", b"((("]
)
def test_garbage_is_not_taken_for_an_empty_board(noise: bytes) -> None:
    with pytest.raises(ProtocolError):
        scan([noise] * (2 * device_table.TABLE_SIZE + 1))


def test_a_silent_board_has_no_version_to_show() -> None:
    assert host.describe(b"ECCSIGN ECC108 TWI 00(C0)") == "ECCSIGN ECC108 TWI C0"
    assert host.describe(b"AT88CKECCSIGNER 00(010005)") == "AT88CKECCSIGNER 010005"
    assert host.describe(b"\xff") == host.describe(b"C0()") == ""


@pytest.mark.parametrize(
    ("line", "packet"),
    [
        (b"00(07000060028038)", "07000060028038"),
        (b"00(040F2342)", "040f2342"),
        (b"FFFFFFF4()", "040f2342"),
        (b"FFFFFFD6()", "0405c343"),
        (b"FFFFFFD1()", "040100c3"),
    ],
)
def test_reply_of_the_chip_is_unpacked(line: bytes, packet: str) -> None:
    assert host.chip_reply(line).hex() == packet


@pytest.mark.parametrize("line", [b"C0()", b"C5()", b"E7()", b"FFFFFFF0()", b"01(04113343)", b"FF(00)"])
@pytest.mark.parametrize("judge", [host.check_done, host.check_awake, host.chip_reply])
def test_kit_error_is_a_transport_error(judge: Callable[[bytes], object], line: bytes) -> None:
    with pytest.raises(TransportError) as refused:
        judge(line)
    assert refused.value.advice


@pytest.mark.parametrize(
    ("judge", "line"),
    [
        (host.check_done, b"00(04113343)"),
        (host.check_done, b"no_device "),
        (host.check_awake, b"00()"),
        (host.check_awake, b"00(07000060028038)"),
        (host.chip_reply, b"00()"),
        (host.chip_reply, b"00(04113343)"),
        (host.chip_reply, b"00"),
        (host.chip_reply, b"ECC608A TWI"),
        (host.chip_reply, b"AT88CKECCSIGNER 00(01000504)"),
        (host.chip_reply, b"FFFFFFD4"),
        (host.check_awake, b"no_device C5()"),
        (host.check_done, b"no_device C5()"),
        (host.kind_of_talk, b"no_device C5()"),
        (host.kind_of_talk, b"C5(00)"),
    ],
)
def test_answer_to_another_request_is_recognised(judge: Callable[[bytes], object], line: bytes) -> None:
    with pytest.raises(ProtocolError):
        judge(line)


PACKET = bytes(range(0x60, 0x80))
JUDGES: dict[str, Callable[[bytes], object]] = {
    "done": host.check_done,
    "awake": host.check_awake,
    "reply": host.chip_reply,
    "kind": host.kind_of_talk,
    "scan": lambda line: scan([line] * (2 * device_table.TABLE_SIZE + 1)),
}


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("form", ["e:t({})", "00(zz{})", "00({}0)", "\x01{}", "{}", "23{} 00()"])
def test_an_error_shows_no_packet(judge: str, form: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        JUDGES[judge](form.format(PACKET.hex().upper()).encode())
    assert PACKET[2:5].hex().upper() not in str(refused.value)
    with pytest.raises(ProtocolError) as late:
        host.check_done(b"00(23%s)" % PACKET.hex().upper().encode())
    assert "'00(23..)'" in str(late.value)


@pytest.mark.parametrize("line", [b"00(0407C440)", b"00(040740C2)"])
def test_a_failed_self_test_at_wake_scraps_the_board(line: bytes) -> None:
    with pytest.raises(DeviceError) as refused:
        host.check_awake(line)
    assert (refused.value.command, refused.value.status, refused.value.board) == ("Wake", 7, Board.SCRAP)


def test_other_answer_to_wake_is_an_error() -> None:
    with pytest.raises(TransportError, match="04 0F 23 42"):
        host.check_awake(b"00(040F2342)")


@given(st.one_of(st.binary(max_size=200), st.text("0123456789ABCDEFcx(): TWI\0", max_size=60).map(str.encode)))
def test_every_answer_is_parsed_or_a_typed_error(line: bytes) -> None:
    with suppress(TransportError, ProtocolError):
        host.check_done(line)
    with suppress(TransportError, DeviceError, ProtocolError):
        host.check_awake(line)
    with suppress(TransportError, ProtocolError):
        assert len(host.chip_reply(line)) >= 4
    with suppress(ProtocolError):
        scan([line] * (2 * device_table.TABLE_SIZE + 1))
    host.describe(line)
