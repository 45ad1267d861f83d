from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import SoftwareChip
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.chip import Power
from atcaprov.emulator.images import blank_608a, load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.kit_protocol import device_table, host
from atcaprov.kit_protocol.firmware import AT90USB, FIRMWARES, KIT_HOST, PARSER3, KitFirmware
from atcaprov.kit_protocol.framing import LINE_LIMIT, ReportBuffer, to_reports
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from tests.support.chips import SERIAL
from tests.support.kit_chips import EmulatedBus

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "kit-exchanges.json").read_text())
TALKS = [exchange for exchange in VECTORS["exchanges"] if exchange["host"].startswith("e:t")]
OTHERS = [exchange for exchange in VECTORS["exchanges"] if exchange not in TALKS]
PROFILE = pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=lambda firmware: firmware.name)
INFO = b"e:t(0730000000035D)"
_FAMILY = {0xC0: "atecc508a", 0x6A: "atecc608a", 0x6C: "atecc608b"}


def board(firmware: KitFirmware, bus: EmulatedBus | None = None) -> Interpreter:
    return Interpreter(bus or EmulatedBus({0xC0: SoftwareChip(blank_608a(SERIAL))}), firmware)


def ask(interpreter: Interpreter, *lines: bytes) -> bytes:
    for line in lines:
        answer = interpreter.answer(line)
    assert answer.endswith(b"\n")
    return answer[:-1]


class ScriptedBus(EmulatedBus):
    """One chip that gives one reply to everything, and keeps the packets."""

    def __init__(self, reply: bytes) -> None:
        super().__init__()
        self.reply = reply
        self.packets: list[bytes] = []

    def exchange(self, address: int, packet: bytes) -> bytes:
        self.packets.append(packet)
        return self.reply


@pytest.mark.parametrize("exchange", TALKS, ids=lambda exchange: exchange["host"].strip())
@pytest.mark.parametrize("firmware", [AT90USB, PARSER3], ids=lambda firmware: firmware.name)
def test_published_talks(firmware: KitFirmware, exchange: dict[str, str]) -> None:
    reply = host.chip_reply(exchange["board"].encode())
    bus = ScriptedBus(reply)
    interpreter = board(firmware, bus)
    bus.packets.clear()
    assert interpreter.answer(exchange["host"].encode().strip()) == exchange["board"].encode()
    assert bus.packets == [bytes.fromhex(exchange["host"][4:-2])]
    assert host.talk(bus.packets[0]) == exchange["host"].encode()


@pytest.mark.parametrize("exchange", OTHERS, ids=lambda exchange: exchange["host"].strip())
def test_published_answers_of_boards(exchange: dict[str, str]) -> None:
    for firmware in (AT90USB, PARSER3):
        if exchange["variant"] in (firmware.name, "any"):
            answer = board(firmware).answer(exchange["host"].encode().strip())
            assert answer == exchange["board"].encode()


@pytest.mark.parametrize("dialogue", ["auto", "interface_i2c"])
def test_published_dialogues_of_the_vendors_library(dialogue: str) -> None:
    interpreter = board(PARSER3)
    for exchange in VECTORS["library_dialogues"][dialogue]:
        answer = interpreter.answer(exchange["host"].encode().strip())
        if "interface" not in exchange["host"]:  # any one line will do there
            assert answer == exchange["board"].encode()


@PROFILE
def test_wake_talk_idle_sleep_reach_the_selected_chip(firmware: KitFirmware) -> None:
    chips = {0xC0: SoftwareChip(), 0x6A: SoftwareChip()}
    interpreter = board(firmware, EmulatedBus(chips))
    assert ask(interpreter, b"E:Physical:Select(6A)", b"S:W()") == b"00(04113343)"
    assert ask(interpreter, INFO) == b"00(07000060028038)"
    powers = [[chip.power for chip in chips.values()]]
    assert ask(interpreter, b"e:i()") == b"00()"
    powers.append([chip.power for chip in chips.values()])
    between = Power.AWAKE if firmware is PARSER3 else Power.IDLE
    assert powers == [[Power.ASLEEP, between], [Power.ASLEEP, Power.IDLE]]


def test_atomic_mode_wakes_and_idles_by_itself() -> None:
    bus = EmulatedBus()
    interpreter, powers = board(AT90USB, bus), []
    for line, answer in ((b"e:w()", b"00(04113343)"), (INFO, b"00(07000060028038)"), (b"e:s()", b"00()")):
        assert ask(interpreter, line) == answer
        powers.append(bus.chips[0xC0].power)
    assert powers == [Power.ASLEEP, Power.IDLE, Power.IDLE], "wake is canned, and an idle chip hears no sleep"


def test_atomic_mode_can_be_left() -> None:
    bus = EmulatedBus()
    interpreter = board(AT90USB, bus)
    assert ask(interpreter, b"e:a(0)", INFO) == b"E7()"
    assert ask(interpreter, b"e:w()", INFO) == b"00(07000060028038)"
    assert ask(interpreter, b"e:c(0730000000035D)", b"e:r()") == b"00(07000060028038)"
    assert ask(interpreter, b"e:i()") == b"00()"
    assert bus.chips[0xC0].power is Power.IDLE


def test_the_table_names_chips_by_their_revision_or_not() -> None:
    bus = EmulatedBus(
        {address: SoftwareChip(load_image(name).make(SeededRandom(b"kit"))) for address, name in _FAMILY.items()}
    )
    assert [ask(board(PARSER3, bus), b"board:device(%d)" % index) for index in range(3)] == [
        b"ECC508A TWI 00(C0)",
        b"ECC608A TWI 00(6A)",
        b"ECC608B TWI 00(6C)",
    ]
    assert ask(board(AT90USB, bus), b"b:d(2)") == b"ECC108 TWI 00(6C)"
    assert ask(board(AT90USB, bus), b"b:d(4)") == b"C5()"
    assert ask(board(KIT_HOST, bus), b"b:d(3)") == b"FFFFFFE0()"


@PROFILE
def test_the_host_finds_all_chips_of_every_firmware(firmware: KitFirmware) -> None:
    interpreter = board(firmware, EmulatedBus({0xC0: SoftwareChip(), 0x6A: SoftwareChip(), 0x6C: SoftwareChip()}))
    table = device_table.converse(device_table.scan(), lambda request: interpreter.answer(request[:-1])[:-1])
    assert [entry.address for entry in table.chips] == [0xC0, 0x6A, 0x6C]
    assert table.is_whole


def test_answers_for_an_absent_address() -> None:
    assert ask(board(AT90USB), b"e:p:select(6A)") == b"C5()"
    assert ask(board(PARSER3), b"e:p:select(6A)") == b"00()"
    assert ask(board(PARSER3), b"e:p:select(6A)", b"e:w()") == b"E7()"
    assert ask(board(KIT_HOST), b"e:p:select(6A)", INFO) == b"FFFFFFF0()"
    assert ask(board(PARSER3, EmulatedBus({})), b"board:device(00)") == b"no_device "[:10]


def test_kit_host_loses_the_chips_packet() -> None:
    assert ask(board(KIT_HOST), b"e:t(07400400008387)") == b"FFFFFFF4()"
    unknown = board(KIT_HOST, ScriptedBus(with_crc(b"\x04\xee")))
    assert ask(unknown, b"e:t(07400400008387)") == b"FFFFFFE1()"


@pytest.mark.parametrize(
    ("firmware", "line", "answer"),
    [
        (AT90USB, b"e:t(0730000000035D", b"00(07000060028038)"),
        (PARSER3, b"e:t(0730000000035D", b"C0()"),
        (AT90USB, b"nonsense", b"C0()"),
        (AT90USB, b"", b"C0()"),
        (PARSER3, b"e:x()", b"C0()"),
        (PARSER3, b"e:c(00)", b"C0()"),
        (PARSER3, b"e:t(0)", b"E2()"),
        (AT90USB, b"e:t(zz)", b"C3()"),
        (AT90USB, b"board:device(-1)", b"C3()"),
        (PARSER3, b"e:p:select(C)", b"E2()"),
        (PARSER3, b"board:x()", b"C0()"),
        (AT90USB, b"lib:e:w()", b"00(04113343)"),
        (AT90USB, b"e:x()", b"C0()"),
        (AT90USB, b"board:discover()", b"00()"),
        (KIT_HOST, b"board:version()", b"board:version()"),
        (KIT_HOST, b"board:firmware(00)", b"board:firmware(00)"),
        (KIT_HOST, b"ecc:wa()", b"00(04113343)"),
        (PARSER3, b"ecc:wake()", b"00(04113343)"),
        (PARSER3, b"ecc:wa()", b"C0()"),
        (AT90USB, b"e:t(" + b"0" * LINE_LIMIT, b"C1()"),
    ],
)
def test_tolerance_and_errors_of_each_firmware(firmware: KitFirmware, line: bytes, answer: bytes) -> None:
    assert ask(board(firmware), line) == answer


@given(st.sampled_from(list(FIRMWARES.values())), st.lists(st.binary(max_size=80), max_size=6))
def test_garbage_desynchronises_a_board_for_one_line_at_most(firmware: KitFirmware, garbage: list[bytes]) -> None:
    cdc = CdcBoard(board(firmware))
    for data in garbage:
        cdc.receive_data(data)
    cdc.receive_data(b"\n")
    answers = cdc.receive_data(b"e:physical:select(C0)\ne:w()\n" + INFO + b"\n")
    assert answers == b"00()\n00(04113343)\n00(07000060028038)\n"


REQUESTS = st.builds(
    lambda target, verb, argument: b"%s:%s(%s)" % (target, verb, argument),
    st.sampled_from([b"e", b"E", b"board", b"b", b"lib:s", b"d", b"x"]),
    st.sampled_from(
        [b"w", b"t", b"i", b"s", b"p:select", b"physical:w", b"p", b"device", b"version", b"a", b"c", b"r"]
    ),
    st.sampled_from([b"", b"00", b"C0", b"6A", b"0730000000035D", b"07", b"zz", b"\xff", b")("]),
)


@given(st.sampled_from(list(FIRMWARES.values())), st.lists(REQUESTS, max_size=12))
def test_every_request_has_exactly_one_answer(firmware: KitFirmware, requests: list[bytes]) -> None:
    cdc = CdcBoard(board(firmware))
    for line in requests:
        assert cdc.receive_data(line + b"\n").count(b"\n") == 1


def test_reports_carry_the_same_dialogue() -> None:
    kit, requests, answers = board(PARSER3), ReportBuffer(), ReportBuffer()
    found = []
    for sent in (b"e:w()\n", host.talk(bytes.fromhex("0702800000 09ad"))):
        for line in filter(None, map(requests.receive_report, to_reports(sent))):
            found += [answers.receive_report(part) for part in to_reports(kit.answer(line))]
    assert found[0] == b"00(04113343)"
    assert found[-1] is not None
    assert host.chip_reply(found[-1])[:5] == b"\x23" + SERIAL[:4]
