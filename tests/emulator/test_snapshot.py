"""Snapshot, restore, fork, and changes in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.changes import explain_changes
from atcaprov.emulator.chip import Chip, Power
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.snapshot import fork, restore, snapshot
from atcaprov.hal.emulated import open_emulated
from tests.support.chips import SERIAL, awake_chip, configured_memory, packet, reply_body, send


def busy_chip() -> Chip:
    """A chip in the middle of its life: a key, a TempKey, a running SHA."""
    chip = awake_chip(configured_memory())
    send(chip, Opcode.GEN_KEY, 4, 0)
    send(chip, Opcode.NONCE, 0, 0, bytes(20))
    send(chip, Opcode.SHA, 0)
    send(chip, Opcode.SHA, 1, 3, b"abc")
    return chip


class TestSnapshot:
    def test_going_back_undoes_everything(self) -> None:
        chip = busy_chip()
        state = snapshot(chip)
        digest = send(chip, Opcode.SHA, 0xC2).body
        send(chip, Opcode.GEN_KEY, 4, 0)
        send(chip, Opcode.LOCK, 2, 0)
        chip.sleep()
        restore(chip, state)
        assert chip.memory.image() == state.image
        assert chip.power is Power.AWAKE
        assert reply_body(chip.exchange(packet(Opcode.SHA, 0xC2))) == digest
        assert chip.core.temp_key.valid

    @pytest.mark.parametrize("power", Power)
    def test_it_goes_back_to_any_power_state(self, power: Power) -> None:
        chip = busy_chip()
        {
            Power.OFF: chip.power_off,
            Power.ASLEEP: chip.sleep,
            Power.IDLE: chip.idle,
            Power.AWAKE: chip.wake,
        }[power]()
        state = snapshot(chip)
        chip.power_cycle()
        restore(chip, state)
        assert chip.power is power
        assert chip.core.volatile == state.volatile

    def test_restore_updates_the_file(self, tmp_path: Path) -> None:
        path = str(tmp_path / "chip.json")
        hal = open_emulated(path)
        state = snapshot(hal.chip)
        hal.wake()
        hal.exchange(packet(Opcode.UPDATE_EXTRA, 0, 9))
        restore(hal.chip, state)
        hal.close()
        again = open_emulated(path)
        assert again.chip.memory.image() == state.image
        again.close()


class TestFork:
    def test_forks_start_equal_and_are_independent(self) -> None:
        chip = busy_chip()
        twin = fork(chip)
        assert snapshot(twin) == snapshot(chip)
        for one in (chip, twin):
            one.exchange(packet(Opcode.RANDOM))
        assert chip.exchange(packet(Opcode.RANDOM)) == twin.exchange(packet(Opcode.RANDOM))
        send(twin, Opcode.LOCK, 2, 0)
        send(twin, Opcode.GEN_KEY, 4, 1)
        assert chip.memory.slot_unlocked(0)
        assert chip.core.slot(1).private_key() is None

    def test_fork_of_a_chip_in_a_file_does_not_change_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "chip.json"
        hal = open_emulated(str(path))
        before = path.read_bytes()
        twin = fork(hal.chip)
        send(twin, Opcode.UPDATE_EXTRA, 0, 9)
        assert path.read_bytes() == before


class TestChanges:
    def test_nothing_changed(self) -> None:
        image = busy_chip().memory.image()
        assert explain_changes(image, image) == []

    def test_changes_over_a_whole_life_in_words(self) -> None:
        chip = awake_chip(load_image("atecc608a").make(SeededRandom(b""), SERIAL))
        stages = [chip.memory.image()]

        def stage(*packets: bytes) -> list[str]:
            for one in packets:
                chip.idle()
                chip.wake()
                chip.exchange(one)
                assert chip.last_refusal is None, str(chip.last_refusal)
            stages.append(chip.memory.image())
            return explain_changes(stages[-2], stages[-1])

        assert stage(packet(Opcode.WRITE, 0, 5, b"\x87\x20\x87\x20")) == [
            "Configuration byte 20 (SlotConfig of slot 0) went from 83 to 87.",
        ]
        assert stage(packet(Opcode.UPDATE_EXTRA, 1, 0x6A)) == [
            "Configuration byte 85 (UserExtraAdd) went from 00 to 6A.",
        ]
        assert stage(packet(Opcode.LOCK, 0x80)) == ["The configuration zone is locked now."]
        assert stage(packet(Opcode.GEN_KEY, 4, 0)) == ["Slot 0 has its first private key."]
        assert stage(packet(Opcode.GEN_KEY, 4, 0)) == ["Slot 0 has another private key."]
        assert stage(
            packet(Opcode.WRITE, 0x82, 9 << 3, bytes(32)),
            packet(Opcode.WRITE, 0x81, 8, bytes(32)),
            packet(Opcode.COUNTER, 1, 1),
        ) == ["Counter 1 went from 0 to 1.", "Slot 9: bytes 0 to 31 changed.", "OTP: bytes 32 to 63 changed."]
        assert stage(packet(Opcode.LOCK, 0x81), packet(Opcode.LOCK, 2)) == [
            "The data and OTP zone is locked now.",
            "Slot 0 is locked now.",
        ]
        assert explain_changes(stages[4], stages[3]) == ["Slot 0 lost its private key."]
        assert "The configuration zone is open now." in explain_changes(stages[-1], stages[0])

    def test_other_chips_differ_in_their_serial_number(self) -> None:
        one, other = configured_memory(), configured_memory(config_bytes={2: b"\x99", 4: b"\x01", 75: b"\x01"})
        assert explain_changes(one.image(), other.image()) == [
            "Configuration byte 2 (serial number) went from 40 to 99.",
            "Configuration byte 4 (revision) went from 00 to 01.",
            "Configuration byte 75 went from 00 to 01.",
        ]

    def test_no_content_of_a_slot_is_shown(self) -> None:
        chip = awake_chip(configured_memory())
        before = chip.memory.image()
        send(chip, Opcode.GEN_KEY, 4, 0)
        scalar = chip.core.slot(0).private_key()
        assert scalar is not None
        assert scalar.hex() not in " ".join(explain_changes(before, chip.memory.image())).lower()

    def test_no_repr_shows_a_secret(self) -> None:
        chip = busy_chip()
        send(chip, Opcode.NONCE, 3, 0, b"S" * 32)
        send(chip, Opcode.NONCE, 0x83, 0, b"S" * 32)
        send(chip, Opcode.SHA, 4, 0xFFFF)
        shown = repr(snapshot(chip)) + repr(chip) + repr(chip.core) + repr(chip.memory)
        assert "SSSS" not in shown
