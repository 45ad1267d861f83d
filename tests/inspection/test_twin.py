"""A twin shows what the real chip shows, signs nothing, and can be told from a copy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import Act, Code, Device, DeviceError, SoftwareChip, UsageError
from atcaprov.chip.commands import Opcode
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.hal.emulated import EmulatedHal
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from atcaprov.inspection.twin import open_twin, twin_file, twin_memory
from tests.support.chips import configured_memory, send

SECRET, CLEAR, PRIVATE, HIDDEN = (0x8F8F, 0x001C), (0x0F0F, 0x003C), (0x2083, 0x0033), (0x2083, 0x0031)
SCALAR = bytes(35) + b"\7"


def locked() -> Memory:
    slots = {0: PRIVATE, 1: HIDDEN, 2: PRIVATE, 3: SECRET, 8: CLEAR, 9: (0x0F8F, 0x001A)}
    content = {0: SCALAR, 1: SCALAR, 3: b"s" * 36, 8: bytes(range(208)) * 2, 9: b"a" * 72}
    return configured_memory(slots=slots, content=content, otp=bytes(range(64)), config_bytes={13: b"\1"})


CHIPS: dict[str, Callable[[], Memory]] = {
    "locked": locked,
    "blank": lambda: load_image("atecc608a").make(SeededRandom(b"part")),
    "508A": lambda: load_image("atecc508a").make(SeededRandom(b"part")),
    "TNGTLS": lambda: load_image("tngtls").make(SeededRandom(b"part")),
    "TFLXTLS": lambda: load_image("tflxtls").make(SeededRandom(b"part")),
    "before the data lock": lambda: configured_memory(slots={0: PRIVATE}, content={0: SCALAR}, data_locked=False),
}


def snapshot_of(memory: Memory) -> ChipSnapshot:
    with Device(EmulatedHal(SoftwareChip(memory), "emulator:")) as device:
        return read_snapshot(device)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHIPS)
def test_a_twin_shows_what_the_real_chip_shows(name: str, tmp_path: Path) -> None:
    snapshot = snapshot_of(CHIPS[name]())
    file = tmp_path / "twin.json"
    file.write_bytes(twin_file(snapshot))
    with Device.open(f"emulator:{file}") as device:
        twin = read_snapshot(device)
    assert twin == ChipSnapshot(f"emulator:{file}", *list(vars(snapshot).values())[1:7])


def test_a_twin_has_no_private_key_and_no_secret() -> None:
    chip = SoftwareChip(twin_memory(snapshot_of(locked())))
    nonce = (Opcode.NONCE, 3, 0, bytes(32))
    for use in ((Opcode.SIGN, 0x80, 0), (Opcode.SIGN, 0x80, 1), (Opcode.MAC, 5, 3), (Opcode.AES, 0, 9, bytes(16))):
        send(chip, *nonce)
        reply = send(chip, *use)
        assert reply.status == 0x0F
        assert "a twin does" in reply.reason
    assert b"s" * 36 not in chip.memory.data
    assert SCALAR not in chip.memory.data


def test_a_twin_file_says_what_it_is_and_stays_so(tmp_path: Path) -> None:
    file = tmp_path / "twin.json"
    file.write_bytes(twin_file(snapshot_of(CHIPS["blank"]())))
    with Device.open(f"emulator:{file}") as device, device.permit(Act.WRITE_CONFIG):
        device.write_config(5, bytes(4))
    document = json.loads(file.read_text())
    assert (document["version"], document["twin"]) == (2, True)


@pytest.mark.parametrize("change", [{"version": 1}, {"twin": False}, {"twin": "yes"}, {"twin": 1}, {"version": 3}])
def test_a_file_that_is_half_a_twin_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "twin.json"
    file.write_text(json.dumps(json.loads(twin_file(snapshot_of(CHIPS["blank"]()))) | change))
    with pytest.raises(UsageError) as refused:
        Device.open(f"emulator:{file}")
    assert refused.value.code == Code.FILE_INVALID


def test_marks_of_a_twin_mean_nothing_in_another_chip_file(tmp_path: Path) -> None:
    """Such bytes are no private key of a real chip, and data that begin like a mark are data."""
    document = json.loads(twin_file(snapshot_of(locked())))
    del document["twin"]
    file = tmp_path / "chip.json"
    file.write_text(json.dumps(document | {"version": 1}))
    with Device.open(f"emulator:{file}") as device:
        assert not device.has_valid_key(0)
        with pytest.raises(DeviceError):
            device.get_pubkey(0)


def test_what_is_written_to_an_unknown_slot_is_known() -> None:
    memory = twin_memory(snapshot_of(locked()))
    chip = SoftwareChip(memory)
    key = (0x0F8F, 0x001A)
    assert memory.config[20 + 18 : 22 + 18] == key[0].to_bytes(2, "little")  # slot 9: always writable
    assert send(chip, Opcode.WRITE, 0x82, 9 << 3, bytes(32)).status == 0
    assert len(send(chip, Opcode.AES, 0, 9, bytes(16)).body) == 16


def test_a_new_key_in_a_twin_is_a_key_that_it_has() -> None:
    hal = open_twin(snapshot_of(locked()))
    with Device(hal) as device, device.permit(Act.CREATE_KEY):
        device.gen_key(0)
        assert len(device.sign(0, bytes(32))) == 64


def test_a_rehearsal_can_have_keys_of_its_own() -> None:
    snapshot = snapshot_of(CHIPS["before the data lock"]())
    with Device(open_twin(snapshot, fresh_keys=True)) as device:
        assert len(device.sign(0, bytes(32))) == 64
        assert device.get_pubkey(0) != snapshot.public_keys[0]


def test_a_blank_twin_is_a_blank_chip() -> None:
    memory = CHIPS["blank"]()
    assert twin_memory(snapshot_of(memory)).image() == memory.image()
