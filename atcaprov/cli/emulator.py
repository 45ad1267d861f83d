"""`atcaprov emulator`: serve software chips, compare chip files, record real chips and replay the recordings."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from atcaprov.bounded_reading import read_text
from atcaprov.chip.execution_times import Times
from atcaprov.chip.parts import spaced
from atcaprov.device.command_guard import GuardedHal
from atcaprov.emulator.changes import explain_changes
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.state_file import StateFile
from atcaprov.emulator.timing import parse_speed, parse_times
from atcaprov.errors import Code, UsageError
from atcaprov.hal.registry import open_hal
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import create_trace, read_trace
from atcaprov.kit_protocol.firmware import FIRMWARES, PARSER3
from atcaprov.program import event_loop
from atcaprov.program.console_text import say
from atcaprov.program.serial_number import SerialNumber
from atcaprov.program.signals import stopped_by_signals
from atcaprov.recording.answers_file import AnswersFile
from atcaprov.recording.destructive.procedure import ask_and_lock, require_blank
from atcaprov.recording.destructive.setups import SETUPS
from atcaprov.recording.dialogue import Dialogue
from atcaprov.recording.harmless_packets import harmless_packets
from atcaprov.recording.harmless_packets import run as ask
from atcaprov.recording.harmless_questions import harmless_questions
from atcaprov.recording.questions import Reading, put
from atcaprov.recording.reading_texts import reading_text
from atcaprov.recording.replay import replay
from atcaprov.serving.bus import DEFAULT_SPEED, Buses
from atcaprov.serving.chips import MOST_CHIPS, ServedChip, explaining, holding, make_chips
from atcaprov.serving.serve import LOOPBACK, ServeOptions, parse_clock
from atcaprov.serving.serve import serve as serve_until

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_DIFFERENT: Final = 1
_HERTZ: Final = 1000
_PORT: Final = click.IntRange(0, 65535)


@click.group("emulator")
def group() -> None:
    """Serve, record, replay and compare software chips."""


@group.command()
@click.option("--bridge", type=_PORT, metavar="PORT", help="cryptoauthlib's kit bridge over TCP.")
@click.option("--i2c", type=_PORT, metavar="PORT", help="Raw I2C messages over TCP.")
@click.option(
    "--i2c-speed",
    "kilohertz",
    default=DEFAULT_SPEED // _HERTZ,
    show_default=True,
    metavar="KHZ",
    type=click.IntRange(1, 1000),
    help="Speed of the I2C buses. On a slow bus a data byte can wake a chip.",
)
@click.option("--kit", type=_PORT, metavar="PORT", help="Kit protocol (text lines) over TCP.")
@click.option("--wolfssl", type=_PORT, metavar="PORT", help="The byte stream of wolfSSL's simulator over TCP.")
@click.option("--pty", type=_FILE, metavar="PATH", help="Kit protocol on a pseudo-terminal; PATH becomes a link to it.")
@click.option(
    "--bind", default=LOOPBACK, show_default=True, metavar="ADDRESS", help="Address on which the TCP ports listen."
)
@click.option(
    "--image", default=BLANK, show_default=True, metavar="NAME", help="Image of new chips: a name or a .json file."
)
@click.option(
    "--chips", default=1, show_default=True, metavar="NUM", type=click.IntRange(1, MOST_CHIPS), help="How many chips."
)
@click.option(
    "--state", type=_FILE, metavar="FILE", help="Keep the first chip in FILE, the second in FILE-2 and so on."
)
@click.option(
    "--clock", default="virtual", show_default=True, metavar="real|virtual|SCALE", help="Speed of the chips' time."
)
@click.option(
    "--times",
    type=click.Choice([times.value for times in Times]),
    help="How long commands take. Default: maximum on a virtual clock, typical on others.",
)
@click.option("--faults", type=_FILE, metavar="FILE", help="Fault plan (TOML): what goes wrong, and when.")
@click.option(
    "--firmware",
    type=click.Choice(list(FIRMWARES)),
    default=PARSER3.name,
    show_default=True,
    help="The firmware of the board at --kit and --pty.",
)
@click.option("--explain", is_flag=True, help="Print on stderr why a chip refuses a command.")
def serve(
    image: str,
    chips: int,
    state: Path | None,
    clock: str,
    times: str | None,
    faults: Path | None,
    kilohertz: int,
    **options: Any,
) -> None:
    """Serve software chips until Ctrl-C or SIGTERM.

    Give at least one of --bridge, --i2c, --kit, --pty, --wolfssl; all of them reach the same chips. Port 0 takes a free
    port. Each port is printed when it is open.
    """
    plan = read_text(faults) if faults else ""
    observer = explaining(_warn) if options.pop("explain") else None
    ways = ServeOptions(firmware=FIRMWARES[options.pop("firmware")], **options)
    with holding(state, chips):
        made = make_chips(
            load_image(image),
            chips,
            state=state,
            clock=parse_clock(clock),
            times=parse_times(times or "", parse_speed(clock)),
            faults=plan,
        )
        buses = Buses([ServedChip(chip, observer) for chip in made], kilohertz * _HERTZ)
        event_loop.run(_serve(buses, ways))


@group.command()
@click.argument("device")
@click.argument("file", type=_FILE)
@click.option(
    "--answers",
    type=_FILE,
    metavar="FILE",
    help="Keep the readings in FILE, too, and skip the questions that have one there.",
)
@click.option(
    "--give-up",
    metavar="SERIAL",
    type=SerialNumber(),
    help="Also ask destructive questions: the blank chip with this serial number is locked permanently and is scrap.",
)
@click.option(
    "--setup",
    type=click.Choice(list(SETUPS)),
    default="1",
    show_default=True,
    help="Setup of the chip that is given up: each has questions of its own.",
)
@click.option(
    "--exit-code", is_flag=True, help="Exit with 1 if the chip differs, or may differ, from the software chip."
)
def record(device: str, file: Path, answers: Path | None, give_up: bytes | None, setup: str, exit_code: bool) -> int:
    """Record in FILE what the chip at DEVICE answers.

    What the answers show about the open points is printed. Only harmless questions are asked.

    Without --give-up nothing is written, locked, counted or used up. FILE has every byte, also what the chip shows in
    clear; it can be replayed.
    """
    traced = TracedHal(open_hal(device), create_trace(file, device), recording=True)
    try:
        guarded = GuardedHal(traced)
        packets = harmless_packets()
        say(f"{ask(guarded, packets)} of {len(packets)} packets were answered.")
        dialogue = Dialogue(guarded)
        kept = AnswersFile(answers, dialogue.serial)
        if give_up is not None:
            require_blank(dialogue, give_up, SETUPS[setup])
        agree = _ask_harmlessly(dialogue, kept)
        if give_up is not None:
            spoiling = Dialogue(traced)
            agree &= _tell(ask_and_lock(spoiling, SETUPS[setup], kept.done), spoiling, kept)
            agree &= _ask_harmlessly(Dialogue(guarded), kept)  # a locked chip answers more
    finally:
        traced.close()
    return _DIFFERENT if exit_code and not agree else 0


def _ask_harmlessly(dialogue: Dialogue, kept: AnswersFile) -> bool:
    """Ask the harmless questions without an answer; return whether the chip does what the software chip does."""
    return _tell(put(dialogue, list(harmless_questions(dialogue)), kept.done), dialogue, kept)


def _tell(readings: Iterator[Reading], dialogue: Dialogue, kept: AnswersFile) -> bool:
    """Print and keep the readings; return whether all are those of the software chip."""
    agree = True
    for reading in readings:
        kept.keep(reading, dialogue.take_exchanges())
        say(reading_text(reading))
        agree &= reading.agrees
    return agree


@group.command("replay")
@click.argument("file", type=_FILE)
@click.option(
    "--image", default=BLANK, show_default=True, metavar="NAME", help="Image of the recorded chip when it was new."
)
@click.option(
    "--state", type=_FILE, metavar="FILE", help="Start with the chip in this state file, which is not changed."
)
@click.option("--unmasked", is_flag=True, help="Show bytes that may belong to a secret, too.")
def replay_file(file: Path, image: str, state: Path | None, unmasked: bool) -> int:
    """Replay a recording or a trace on a software chip.

    The first difference is printed. Exit code 1 if there is one.
    """
    trace = read_trace(file)
    memory = _load(state) if state else load_image(image).make(SystemRandom())
    found = replay(trace, memory)
    difference = found.difference
    if difference is None:
        count = found.passed_over
        passed = f"; {count} of them depend on masked bytes and were not compared" if count else ""
        say(f"All {len(trace.events)} events agree{passed}.")
        return 0
    say(difference.text(unmasked=unmasked))
    return _DIFFERENT


@group.command()
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the chips differ.")
def diff(before: Path, after: Path, exit_code: bool) -> int:
    """Print what changed between two chip files. The contents of slots are not shown, only where they changed."""
    old, new = _load(before), _load(after)
    changes = explain_changes(old.image(), new.image())
    if old.revision != new.revision:
        changes.insert(0, f"The revision went from {spaced(old.revision)} to {spaced(new.revision)}.")
    for line in changes or ["The chips are the same."]:
        say(line)
    return _DIFFERENT if changes and exit_code else 0


def _load(path: Path) -> Memory:
    memory = StateFile(path).load()
    if memory is None:
        raise UsageError(f"There is no chip file {path}.", code=Code.FILE_UNREADABLE)
    return memory


async def _serve(buses: Buses, ways: ServeOptions) -> None:
    stop = asyncio.Event()
    with stopped_by_signals(stop.set, signal.SIGINT, signal.SIGTERM):
        await serve_until(buses, ways, say=_say, report=_warn, stop=stop)


def _say(line: str) -> None:
    say(line)


def _warn(line: str) -> None:
    say(line, err=True)
