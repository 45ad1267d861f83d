"""Parts that are given up: only the one that is named, cut at any packet, over any way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from atcaprov import (
    Code,
    EmulatedHal,
    ProvisioningError,
    SoftwareChip,
    TransportError,
    UsageError,
    open_hal,
    read_zone_file,
)
from atcaprov.chip.commands import Opcode
from atcaprov.device.command_guard import GuardedHal
from atcaprov.emulator.images import load_image
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import SeededRandom, SystemRandom
from atcaprov.recording.answers_file import AnswersFile
from atcaprov.recording.destructive.procedure import ask_and_lock, require_blank
from atcaprov.recording.destructive.setups import FIRST, SECOND, SETUPS, Setup
from atcaprov.recording.dialogue import Dialogue
from atcaprov.recording.questions import UNDECIDED
from atcaprov.recording.replay import replay
from tests.recording.known_readings import (
    blank_chip,
    found,
    given_up,
    talk,
)
from tests.recording.test_replay import recorded
from tests.support.chips import configured_memory
from tests.support.scripted_hal import ScriptedHal
from tests.support.served_chips import served

REFUSED = bytes.fromhex("040f2342")


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_guard_refuses_the_first_destructive_packet(setup: Setup) -> None:
    chip = blank_chip()
    before = chip.memory.image()
    with pytest.raises(UsageError) as held_back:
        list(ask_and_lock(Dialogue(GuardedHal(EmulatedHal(chip, "emulator:"))), setup))
    assert (held_back.value.code, chip.memory.image()) == (Code.READ_ONLY, before)


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_recording_of_a_given_up_chip_replays(setup: Setup) -> None:
    """The software chip learns keys and contents from the recording, and answers every packet like the part."""
    with recorded(blank_chip()) as (hal, trace):
        list(ask_and_lock(Dialogue(hal), setup))
        assert replay(trace(), load_image("atecc608a").make(SystemRandom())).difference is None


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_a_lock_whose_reply_is_lost_is_seen_by_reading(setup: Setup) -> None:
    hal = ScriptedHal()

    def losing(content: bytes) -> bytes:
        reply = hal.chip.exchange(content)
        if content[1:3] == bytes((Opcode.LOCK, 0)):
            raise TransportError("The chip does not answer.", code=Code.DEVICE_NO_REPLY)
        return reply

    hal.answer = losing
    assert found(ask_and_lock(Dialogue(hal), setup)) == given_up(setup, OpenPoints())


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_chip_that_refuses_the_configuration_is_not_locked(setup: Setup) -> None:
    hal = ScriptedHal()
    hal.answer = lambda content: REFUSED if content[1] == Opcode.WRITE else hal.chip.exchange(content)
    with pytest.raises(ProvisioningError) as refused:
        list(ask_and_lock(Dialogue(hal), setup))
    assert refused.value.code == Code.WRITE_NOT_VERIFIED
    assert not hal.memory.config_locked


@pytest.mark.parametrize(("number", "setup"), SETUPS.items())
def test_the_configurations_in_files_are_those_of_the_setups(number: str, setup: Setup) -> None:
    """Each file holds what a blank ATECC608A gets, and `config show` explains it."""
    file = Path(__file__).parents[2] / "configs" / "open-points" / f"part-{number}.hex"
    blank = bytes(load_image("atecc608a").make(SeededRandom(b"part")).config)
    assert read_zone_file(file).zone.data[16:] == setup.config(blank)[16:]


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_named_chip_is_given_up_only_if_blank_or_set_up(setup: Setup) -> None:
    dialogue = talk(blank_chip())
    require_blank(dialogue, dialogue.serial, setup)
    with pytest.raises(ProvisioningError, match="serial number"):
        require_blank(dialogue, bytes(9), setup)
    list(ask_and_lock(dialogue, setup))
    require_blank(dialogue, dialogue.serial, setup)
    other = FIRST if setup is SECOND else SECOND
    for locked, wanted in ((talk(SoftwareChip(configured_memory(data_locked=False))), setup), (dialogue, other)):
        with pytest.raises(ProvisioningError) as refused:
            require_blank(locked, locked.serial, wanted)
        assert refused.value.code == Code.CONFIG_LOCKED_OTHER


def test_only_an_atecc608_is_given_up() -> None:
    part = talk(SoftwareChip(load_image("atecc508a").make(SeededRandom(b"part"))))
    with pytest.raises(ProvisioningError) as refused:
        require_blank(part, part.serial, FIRST)
    assert refused.value.code == Code.WRONG_PART


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_chip_shows_which_crc_locked_it_when_replies_to_lock_are_lost(setup: Setup, private: bool) -> None:
    chip = blank_chip(replace(OpenPoints(), data_crc_private=private))
    hal = ScriptedHal()

    def losing(content: bytes) -> bytes:
        reply = chip.exchange(content)
        if content[1] == Opcode.LOCK:
            raise TransportError("The chip does not answer.", code=Code.DEVICE_NO_REPLY)
        return reply

    hal.chip = EmulatedHal(chip, "emulator:")
    hal.answer = losing
    assert found(ask_and_lock(Dialogue(hal), setup))["data_crc_private"] is private


class CutError(Exception):
    """The run ends here."""


_STEP = 5
"""Packets between the cuts that are tried."""


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_run_that_was_cut_continues(setup: Setup, after: bool, tmp_path: Path) -> None:
    whole = ScriptedHal()
    list(ask_and_lock(Dialogue(whole), setup))
    for cut in range(5, len(whole.packets), _STEP):
        goes_on_after(cut, setup, after=after)
    file = tmp_path / "answers.json"
    names = goes_on_after(100, setup, file, after=after)
    kept = json.loads(file.read_text(encoding="ascii"))["answers"]
    assert [answer["name"] for answer in kept if answer["value"] != answer["software_chip"]] == []
    assert {answer["name"] for answer in kept if answer["packets"]} == names


def goes_on_after(cut: int, setup: Setup, file: Path | None = None, *, after: bool) -> frozenset[str]:
    """End a run before or after the part has executed a packet, go on, and find every answer."""
    hal = ScriptedHal()

    def cutting(content: bytes) -> bytes:
        if len(hal.packets) < cut:
            return hal.chip.exchange(content)
        if after:
            hal.chip.exchange(content)
        raise CutError

    hal.answer = cutting
    dialogue = Dialogue(hal)
    answers = AnswersFile(file, dialogue.serial)
    with pytest.raises(CutError):
        keep_all(dialogue, setup, answers)
    hal.answer = None
    again = Dialogue(hal)
    require_blank(again, again.serial, setup)
    if file is not None:
        answers = AnswersFile(file, again.serial)
    keep_all(again, setup, answers)
    assert answers.done == given_up(setup, OpenPoints()).keys(), f"cut at packet {cut}"
    return answers.done


def keep_all(dialogue: Dialogue, setup: Setup, answers: AnswersFile) -> None:
    for reading in ask_and_lock(dialogue, setup, answers.done):
        assert reading.agrees or reading.value is UNDECIDED
        answers.keep(reading, dialogue.take_exchanges())


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "atcaprov open points", "version": 1, "serial": "00"}', "answers"]
)
def test_other_file_for_answers_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "answers.json"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        AnswersFile(file, bytes(9))
    assert refused.value.code == Code.FILE_INVALID


@pytest.mark.parametrize("setup", [FIRST, SECOND])
@pytest.mark.parametrize("protocol", ["bridge", "kit"])
def test_chip_can_be_given_up_over_any_hal(protocol: str, setup: Setup) -> None:
    with served(blank_chip()) as place:
        hal = open_hal(f"tcp://127.0.0.1:{place.port(protocol)}?protocol={protocol}")
        try:
            assert found(ask_and_lock(Dialogue(hal), setup)) == given_up(setup, OpenPoints())
        finally:
            hal.close()
