"""What the console shows beside the texts of the guide, and that JSON lines tell the same."""

from __future__ import annotations

import json

import pytest

from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.zones.config_zone import require_possible_extras
from atcaprov.errors import Code, ProvisioningError, ServerRejected, TransportError
from atcaprov.stages import Stage, StageStatus
from provisioning_client.console_output import ConsoleOutput
from provisioning_client.json_output import JsonOutput

ELSEWHERE = TransportError("No chip at C0, but at 6A.", advice="Write 6A.", code=Code.DEVICE_OTHER_ADDRESS)


def test_sentences_fit_the_terminal() -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append, lambda: 40)
    error = TransportError("The chip does not wake, and there is more to say.", advice="Press the board down.")
    output.board_failed(error)
    output.hint(error)
    output.warning(error)
    lines = "".join(printed).splitlines()
    assert lines[:4] == [
        "    The chip does not wake, and there is",
        "    more to say. Press the board down.",
        "    The board is not lost: it can be",
        "    tried again.",
    ]
    assert [line for line in lines if len(line) > 40] == ["Provisioning failed! Please remove board..."]


def test_new_address_is_shown_in_both_forms_with_its_url() -> None:
    printed: list[str] = []
    ConsoleOutput(printed.append).address_changes(0x6A, "i2c://1/0x35")
    assert printed == [
        "    This chip moves to I2C address 0x6A (7-bit 0x35) in this run; use i2c://1/0x35 from then on.\n"
    ]
    JsonOutput(printed.append).address_changes(0x6A, "i2c://1/0x35")
    event = json.loads(printed[-1])
    assert (event["event"], event["address"], event["device"]) == ("address", "0x6A", "i2c://1/0x35")


def test_new_address_under_the_same_url_keeps_the_url() -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append, attended=False)
    output.board_found(bytes(9), "emulator:chip.json")
    output.address_changes(0x6A, "emulator:chip.json")
    assert printed[-1] == (
        "    This chip moves to I2C address 0x6A (7-bit 0x35) in this run; its device URL stays emulator:chip.json.\n"
    )


def test_missing_board_is_not_to_be_removed() -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append)
    gone = TransportError("Nothing is plugged in.", code=Code.DEVICE_NOT_FOUND)
    output.step_begins("Waiting")
    output.board_failed(gone)
    assert printed[1:] == ["    Nothing is plugged in.\nProvisioning failed!\n"]
    output.board_found(bytes(9), "kit-hid://")
    output.board_failed(gone)
    assert "can be tried again" in printed[-1]
    assert printed[-1].endswith("Please remove board...\n")


def test_warning_repeats_the_line_that_it_interrupts() -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append)
    output.warning(ELSEWHERE)
    output.step_begins("Waiting")
    output.warning(ELSEWHERE)
    output.step_ends(good=True)
    output.warning(ELSEWHERE)
    text = f"Warning: {ELSEWHERE}\n"
    assert "".join(printed) == f"{text}Waiting...\n{text}Waiting...ok\n{text}"
    JsonOutput(printed.append).warning(ELSEWHERE)
    event = json.loads(printed[-1])
    assert (event["event"], event["code"]) == ("warning", "device-other-address")


def test_red_bin_is_named_once() -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append)
    output.board_found(bytes(9), "kit-hid://")
    for offset in (84, 85):
        used = bytearray(DEFAULT_608A)
        used[offset] = 0x55
        with pytest.raises(ProvisioningError) as caught:
            require_possible_extras(bytes(used), DEFAULT_608A)
        output.board_failed(caught.value)
        assert printed[-1].count("red bin") == 1


BUSY = ServerRejected("The station asks too often.", code=Code.SERVER_BUSY)


def test_busy_server_is_shown_on_a_line_of_its_own_within_a_stage() -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append)
    output.stage(Stage.CERTS_REQUEST, StageStatus.START)
    output.server_busy(2.345, BUSY)
    output.stage(Stage.CERTS_REQUEST, StageStatus.DONE)
    output.server_busy(1.0, BUSY)
    told = "    The server is busy and is asked again in {} s: The station asks too often."
    assert "".join(printed).splitlines() == [
        "Requesting certificates...",
        told.format("2.3"),
        "Requesting certificates...done",
        told.format("1.0"),
    ]


def test_refusal_of_the_server_names_the_request() -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append)
    output.board_failed(ServerRejected("No such signer.", code=Code.SIGNER_UNKNOWN))
    output.run_begins(bytes(range(16)))
    output.board_failed(ELSEWHERE)
    output.board_failed(BUSY)
    assert "Request" not in "".join(printed)
    output.board_failed(ServerRejected("No such signer.", code=Code.SIGNER_UNKNOWN))
    assert "    Request 000102030405060708090a0b0c0d0e0f in the server's log.\n" in printed[-1]


def test_json_lines_name_request_server_and_station() -> None:
    printed: list[str] = []
    output = JsonOutput(printed.append)
    output.board_found(bytes(9), "emulator:")
    output.run_begins(b"\x07" * 16)
    output.server_used("ca1.example:11235", "line-1")
    output.stage(Stage.CERTS_REQUEST, StageStatus.START)
    output.server_busy(2.34, BUSY)
    output.server_used("ca2.example:11235", "line-1")
    output.board_failed(BUSY)
    stage, busy, result = map(json.loads, printed[1:])
    assert stage["request"] == busy["request"] == result["request"] == "07" * 16
    assert (busy["event"], busy["seconds"], busy["code"]) == ("busy", 2.3, "server-busy")
    assert (busy["server"], result["server"], result["station"]) == ("ca1.example:11235", "ca2.example:11235", "line-1")
