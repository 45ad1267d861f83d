"""`atcaprov emulator serve` as a program: ports as printed, clean end, state kept, errors named."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atcaprov import SoftwareChip
from atcaprov.chip.commands import Opcode
from atcaprov.cli import emulator
from atcaprov.cli.emulator import group
from atcaprov.emulator.counters import read_counter
from atcaprov.emulator.state_file import StateFile
from atcaprov.emulator.timing import execution_times
from atcaprov.serving.bus import Buses
from tests.support.chips import packet
from tests.support.programs import run_in_process
from tests.support.served_chips import Client

_PROGRAM = Path(sysconfig.get_path("scripts")) / "atcaprov"
_LIMIT = 60


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Start the program; gives it, and what it printed for each way in."""
    ways = sum(argument in ("--bridge", "--i2c", "--kit", "--wolfssl", "--pty") for argument in arguments)
    command = [str(_PROGRAM), "emulator", "serve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            lines = [program.stdout.readline().rstrip("\n") for _ in range(ways)]
            yield program, dict(line.split(": ", 1) for line in lines)
        finally:
            program.kill()


def ended(program: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    program.send_signal(number)
    out, err = program.communicate(timeout=_LIMIT)
    return program.returncode, out, err


@contextmanager
def client_of(place: str) -> Iterator[Client]:
    host, _, port = place.removeprefix("listening on ").rpartition(":")
    with socket.create_connection((host, int(port)), _LIMIT) as connection:
        yield Client(connection)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_a_line_for_each_interface_and_exits_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    port = tmp_path / "ttyKit"
    options = ["--bridge", "0", "--i2c", "0", "--kit", "0", "--wolfssl", "0", "--pty", str(port)]
    with serving(*options) as (program, places):
        assert list(places) == ["bridge", "i2c", "kit", "wolfssl", "pty"]
        assert all(re.fullmatch(r"listening on 127\.0\.0\.1:[1-9]\d*", place) for place in list(places.values())[:4])
        assert places["pty"] == str(port)
        assert ended(program, number) == (0, "", "")
    assert not port.is_symlink()


@pytest.mark.slow
def test_state_file_has_the_changes_of_a_client(tmp_path: Path) -> None:
    state = tmp_path / "chip.json"
    for expected in (1, 2):
        with serving("--wolfssl", "0", "--state", str(state)) as (program, places):
            with client_of(places["wolfssl"]) as client:
                client.send(b"\x03" + packet(Opcode.COUNTER, 1))
                client.take(7)
            assert ended(program, signal.SIGTERM)[0] == 0
        memory = StateFile(state).load()
        assert memory is not None
        assert read_counter(memory, 0) == expected


@pytest.mark.slow
def test_chip_file_is_used_by_one_server_at_a_time(tmp_path: Path) -> None:
    state = tmp_path / "chip.json"
    with serving("--wolfssl", "0", "--state", str(state)) as (program, _places):
        done = run_in_process(group, "serve", "--bridge", "0", "--state", str(state))
        assert done.code == 3
        assert f"{state} is in use by " in done.err
        done = run_in_process(
            group, "serve", "--bridge", "0", "--chips", "2", "--state", str(tmp_path / "x.json"), "--bind", "192.0.2.1"
        )
        assert "in use" not in done.err
        assert ended(program, signal.SIGTERM)[0] == 0
    with serving("--wolfssl", "0", "--state", str(state)) as (program, _places):
        assert ended(program, signal.SIGTERM)[0] == 0


@pytest.mark.slow
def test_explain_prints_the_reason_on_stderr(tmp_path: Path) -> None:
    with serving("--wolfssl", "0", "--explain", "--image", "atecc608b") as (program, places):
        with client_of(places["wolfssl"]) as client:
            client.send(b"\x03" + packet(Opcode.SIGN, 0x80, 0))
            assert client.take(4) == bytes.fromhex("040f2342")
        code, out, err = ended(program, signal.SIGTERM)
    assert (code, out) == (0, "")
    assert "Sign (P1 80, P2 0000) refused, 0F" in err


@pytest.mark.slow
def test_fault_plan_applies_to_served_chips(tmp_path: Path) -> None:
    plan = tmp_path / "faults.toml"
    plan.write_text('[[fault]]\nkind = "ecc-fault"\nopcode = "Info"\n')
    with serving("--wolfssl", "0", "--faults", str(plan)) as (_program, places), client_of(places["wolfssl"]) as client:
        client.send(2 * (b"\x03" + packet(Opcode.INFO)))
        assert client.take(11) == bytes.fromhex("0405c343" + "07000060028038")


@pytest.mark.slow
@pytest.mark.parametrize(("speed", "wakes"), [("100", True), ("400", False)])
def test_the_speed_of_its_buses_decides_what_wakes_a_chip(speed: str, wakes: bool) -> None:
    with serving("--i2c", "0", "--i2c-speed", speed) as (_, places), client_of(places["i2c"]) as client:
        client.send(b"W\0\x60\0\0")
        assert client.take(1) == b"\1"
        client.send(b"W\0\x60\0\0")
        assert client.take(1) == (b"\0" if wakes else b"\1")


@pytest.mark.parametrize(("times", "milliseconds"), [("typical", 70), ("maximum", 115)])
def test_the_times_of_its_chips_are_chosen(monkeypatch: pytest.MonkeyPatch, times: str, milliseconds: int) -> None:
    made: list[SoftwareChip] = []

    async def serve(buses: Buses, *_arguments: Any, **_options: Any) -> None:
        made.extend(pins.chip for pins in buses.parts)

    monkeypatch.setattr(emulator, "serve_until", serve)
    assert run_in_process(group, "serve", "--bridge", "0", "--clock", "real", "--times", times).code == 0
    assert run_in_process(group, "serve", "--bridge", "0", "--clock", "real").code == 0
    found = [execution_times(chip.memory).of(chip.times)[Opcode.SIGN] for chip in made]
    assert found == [milliseconds, 70], "without a choice they are typical on a real clock"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "No port is given"),
        (["--bridge", "0", "--clock", "fast"], "Unknown clock 'fast'"),
        (["--bridge", "0", "--image", "atecc999"], "Unknown chip image 'atecc999'"),
        (
            ["--bridge", "0", "--faults", "missing.toml"],
            r"missing\.toml cannot be read: No such file or directory\.\nCheck its name",
        ),
        (["--bridge", "65536"], "65536"),
        (["--bridge", "0", "--times", "short"], "'short' is not one of 'typical', 'maximum'"),
        (["--i2c", "0", "--i2c-speed", "0"], "0"),
        (["--bridge", "0", "--chips", "113"], "113"),
        (["--bridge", "0", "--bind", "192.0.2.1"], "bridge port 192.0.2.1:0 cannot be opened"),
        (["--pty", "/no/such/folder/port"], "cannot be made"),
    ],
)
def test_a_wrong_option_is_one_message_and_an_exit_code(arguments: list[str], message: str) -> None:
    done = run_in_process(group, "serve", *arguments)
    assert done.code in (2, 3)
    assert re.search(message, done.err)
    assert "Traceback" not in done.err


# Chip files


@pytest.mark.slow
def test_chip_files_are_compared_in_words(tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    run_in_process(group, "record", f"emulator:{before}", str(tmp_path / "trace"))
    after.write_bytes(before.read_bytes())
    done = run_in_process(group, "diff", str(before), str(after), "--exit-code")
    assert (done.code, done.out) == (0, "The chips are the same.\n")
    with serving("--wolfssl", "0", "--state", str(after)) as (_program, places), client_of(places["wolfssl"]) as client:
        client.send(b"\x03" + packet(Opcode.COUNTER, 1))
        client.take(7)
    assert run_in_process(group, "diff", str(before), str(after)).code == 0
    done = run_in_process(group, "diff", str(before), str(after), "--exit-code")
    assert (done.code, done.out) == (1, "Counter 0 went from 0 to 1.\n")


def test_chips_with_different_info_revision_differ(tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    run_in_process(group, "record", f"emulator:{before}", str(tmp_path / "trace"))
    after.write_text(before.read_text().replace('"revision": "00006002"', '"revision": "00006003"'))
    done = run_in_process(group, "diff", str(before), str(after), "--exit-code")
    assert (done.code, done.out) == (1, "The revision went from 00 00 60 02 to 00 00 60 03.\n")


def test_a_chip_file_that_is_missing_is_named(tmp_path: Path) -> None:
    done = run_in_process(group, "diff", str(tmp_path / "no.json"), str(tmp_path / "no.json"))
    assert done.code == 2
    assert "no.json" in done.err


# Recordings


def test_a_recording_replays(tmp_path: Path) -> None:
    file = tmp_path / "part.jsonl"
    done = run_in_process(group, "record", "emulator:?image=tngtls", str(file))
    assert (done.code, done.err) == (0, "")
    assert re.match(r"(\d+) of \1 packets were answered\.\n", done.out)
    assert file.stat().st_mode & 0o777 == 0o600
    done = run_in_process(group, "replay", str(file))
    assert (done.code, done.err) == (0, "")
    assert re.match(r"All \d+ events agree\.\n", done.out)


def test_the_first_difference_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "part.jsonl"
    run_in_process(group, "record", "emulator:", str(file))
    file.write_text(file.read_text().replace("07000060028038", "07000060033839"))
    done = run_in_process(group, "replay", str(file))
    assert done.code == 1
    assert done.out.startswith("event 2: 0730000000035d\n  the real chip answered      07000060033839\n")


def test_record_prints_the_readings_of_the_chip(tmp_path: Path) -> None:
    done = run_in_process(group, "record", "emulator:?image=atecc508a", str(tmp_path / "part.jsonl"))
    assert "are ignored (open point surplus_data: ignore; the software chip: refuse)\n" in done.out


@pytest.mark.parametrize(("image", "code"), [("tngtls", 0), ("atecc508a", 1)])
def test_exit_code_shows_whether_a_chip_differs(tmp_path: Path, image: str, code: int) -> None:
    arguments = ["record", f"emulator:?image={image}", str(tmp_path / "part.jsonl")]
    assert run_in_process(group, *arguments, "--exit-code").code == code
    assert run_in_process(group, *arguments).code == 0


def blank_part(tmp_path: Path) -> tuple[str, Path, str]:
    """Make a chip in a file; gives its URL, the file and its serial number."""
    state = tmp_path / "chip.json"
    run_in_process(group, "record", f"emulator:{state}", str(tmp_path / "blank.jsonl"))
    memory = StateFile(state).load()
    assert memory is not None
    return f"emulator:{state}", state, memory.serial.hex()


def test_only_the_named_chip_is_given_up(tmp_path: Path) -> None:
    device, state, _ = blank_part(tmp_path)
    before = state.read_bytes()
    for number, code in (("00" * 9, 6), ("0123", 2), ("zz" * 9, 2)):
        done = run_in_process(group, "record", device, str(tmp_path / f"{code}{number}"), "--give-up", number)
        assert (done.code, state.read_bytes()) == (code, before)


@pytest.mark.slow
@pytest.mark.parametrize(("setup", "other"), [("1", "2"), ("2", "1")])
def test_given_up_chip_answers_and_its_recording_replays(tmp_path: Path, setup: str, other: str) -> None:
    device, state, serial = blank_part(tmp_path)
    trace, answers = tmp_path / "part.jsonl", tmp_path / "answers.json"
    arguments = ["record", device, str(trace), "--answers", str(answers), "--give-up", serial, "--setup"]
    done = run_in_process(group, *arguments, setup, "--exit-code")
    assert (done.code, "undecided" in done.out, "the software chip:" in done.out) == (0, False, False)
    spoiled = StateFile(state).load()
    assert spoiled is not None
    assert spoiled.data_locked
    assert run_in_process(group, "replay", str(trace)).code == 0
    kept = json.loads(answers.read_text())["answers"]
    assert done.out.splitlines()[1:] == [answer["words"] for answer in kept]
    assert run_in_process(group, *arguments, other).code == 6, "it is set up otherwise"
    again = run_in_process(group, *arguments, setup)
    assert again.code == 0
    assert not {answer["words"] for answer in kept} & set(again.out.splitlines()), "nothing is asked twice"


def test_answers_file_of_another_chip_is_not_changed(tmp_path: Path) -> None:
    answers = tmp_path / "answers.json"
    arguments = ["record", "emulator:", str(tmp_path / "part.jsonl"), "--answers", str(answers)]
    assert run_in_process(group, *arguments).code == 0
    content = answers.read_bytes()
    refused = run_in_process(group, *arguments)
    assert (refused.code, answers.read_bytes()) == (2, content)
    assert "Give another file for --answers." in " ".join(refused.err.split())
    again = ["record", "emulator:", str(tmp_path / "again.jsonl"), "--answers", str(tmp_path / "other.json")]
    assert run_in_process(group, *again).code == 0


def test_replay_can_start_from_a_chip_file_and_does_not_change_it(tmp_path: Path) -> None:
    state, file = tmp_path / "chip.json", tmp_path / "part.jsonl"
    run_in_process(group, "record", f"emulator:{state}", str(file))
    before = state.read_bytes()
    assert run_in_process(group, "replay", str(file), "--state", str(state)).code == 0
    assert state.read_bytes() == before
    assert run_in_process(group, "replay", str(file), "--state", str(tmp_path / "no.json")).code == 2


@pytest.mark.parametrize("device", ["nonsense", "emulator:?image=none"])
def test_device_that_cannot_be_opened_creates_no_file(tmp_path: Path, device: str) -> None:
    assert run_in_process(group, "record", device, str(tmp_path / "part.jsonl")).code == 2
    assert list(tmp_path.iterdir()) == []
