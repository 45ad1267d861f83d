"""A read-only session cannot send what changes a chip, and leaves the file of a software chip as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov import Act, Code, Device, SoftwareChip, TransportError, UsageError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import crc16, with_crc
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, SLOT_CONFIG, SLOT_COUNT
from atcaprov.device.read_only import ReadOnlyHal, open_read_only, slots_used
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory, Zones
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.hal.emulated import EmulatedHal
from tests.support.chips import packet

LIMITED_USE = 0x20
PARAMETERS = (0, 9, 15, 0x10, 0x8003, 0xFFFF)
"""Values of P2: slots, words, lengths, addresses, bits that are reserved, and TempKey."""
SIZES = (3, 4, 16, 20, 32, 64, 77, 83, 128)


def memory(image: str, *, config_locked: bool = False, data_locked: bool = False) -> Memory:
    """Return an image with a private key in slot 0 and readable content elsewhere, and every slot of limited use."""
    made = load_image(image).make(SeededRandom(b"part"))
    made.data[36:] = bytes(range(1, 256)) * 4 + bytes(len(made.data) - 36 - 4 * 255)
    made.write_slot(0, 0, bytes(35) + b"\x07")
    for slot in range(SLOT_COUNT):
        made.config[SLOT_CONFIG + 2 * slot] |= LIMITED_USE
    if config_locked:
        made.config[LOCK_CONFIG] = 0
    if data_locked:
        made.config[LOCK_VALUE] = 0
    return made


CHIPS = {
    "blank": lambda: memory("atecc608a"),
    "config locked": lambda: memory("atecc608a", config_locked=True),
    "locked": lambda: memory("atecc608a", config_locked=True, data_locked=True),
    "508A": lambda: memory("atecc508a", config_locked=True, data_locked=True),
    "Trust part as delivered": lambda: load_image("tngtls").make(SeededRandom(b"part")),
}


def every_packet() -> Iterator[bytes]:
    """Every opcode with every mode, and those of the chip with every kind of parameter and length of data."""
    opcodes = frozenset(Opcode)
    for opcode in range(256):
        known = opcode in opcodes
        for mode in range(256):
            for parameter in PARAMETERS if known else (0,):
                yield packet(opcode, mode, parameter)
            for size in SIZES if known else ():
                yield packet(opcode, mode, 9 if size < 128 else 4, bytes(size))


POSSIBLE = [each for each in every_packet() if slots_used(each) is not None]
"""Those that are not blocked for every chip."""


def zones_after(chip: SoftwareChip, send: list[bytes], *, guarded: bool) -> tuple[int, Zones]:
    """Return how many packets were executed, and what the memory is then."""
    direct = EmulatedHal(chip, "emulator:")
    hal = ReadOnlyHal(direct) if guarded else direct
    executed = 0
    for each in send:
        hal.wake()
        try:
            reply = hal.exchange(each)
        except (UsageError, TransportError):
            continue
        executed += len(reply) > 4 or reply[1] == 0
        hal.idle()  # which gives the watchdog new time
    return executed, chip.memory.image()


@pytest.mark.slow
@pytest.mark.parametrize("name", CHIPS)
def test_whatever_passes_leaves_every_byte_as_it_was(name: str) -> None:
    chip = SoftwareChip(CHIPS[name](), random_source=SeededRandom(b"chip"))
    before = chip.memory.image()
    nonce = packet(Opcode.NONCE, 3, 0, bytes(32))
    needs_temp_key = [each for each in POSSIBLE if slots_used(each) or each[1] in (Opcode.GEN_DIG, Opcode.GEN_KEY)]
    dialogue = [*POSSIBLE, *(each for one in needs_temp_key for each in (nonce, one))]
    executed, after = zones_after(chip, dialogue, guarded=True)
    assert after == before
    assert executed > len(needs_temp_key)


def test_the_same_packets_without_the_session_count_uses() -> None:
    """So the test above can fail."""
    for name in ("locked", "508A"):
        chip = SoftwareChip(CHIPS[name](), random_source=SeededRandom(b"chip"))
        before = chip.memory.image()
        signs = [packet(Opcode.NONCE, 3, 0, bytes(32)), packet(Opcode.SIGN, 0x80, 0), packet(Opcode.MAC, 1, 15)]
        _, after = zones_after(chip, signs, guarded=False)
        assert after != before


def test_command_that_is_not_on_the_list_is_blocked() -> None:
    held = {each[1] for each in every_packet()} - {each[1] for each in POSSIBLE}
    for opcode in Opcode:
        changes = opcode.name in {
            "PAUSE", "WRITE", "LOCK", "DERIVE_KEY", "UPDATE_EXTRA", "ECDH", "PRIV_WRITE", "KDF", "SECURE_BOOT",
        }  # fmt: skip
        assert (opcode in held) == changes, opcode.name
    assert len(held) == 256 - len(Opcode) + 9


@pytest.mark.parametrize(
    "use",
    [
        packet(Opcode.SIGN, 0x80, 0),
        packet(Opcode.MAC, 0, 0, bytes(32)),
        packet(Opcode.HMAC, 4, 0),
        packet(Opcode.CHECK_MAC, 0, 0, bytes(77)),
        packet(Opcode.GEN_DIG, 2, 0),
        packet(Opcode.VERIFY, 0, 0, bytes(64)),
        packet(Opcode.AES, 0, 0, bytes(16)),
        packet(Opcode.SHA, 4, 0),
        packet(Opcode.SHA, 3, 0),
    ],
    ids=lambda use: Opcode(use[1]).name,
)
def test_use_of_a_key_of_limited_use_is_blocked_and_that_of_others_is_sent(use: bytes) -> None:
    chip = SoftwareChip(memory("atecc608a", config_locked=True))
    hal = ReadOnlyHal(EmulatedHal(chip, "emulator:"))
    hal.wake()
    with pytest.raises(UsageError, match="slot 0 is of limited use") as held_back:
        hal.exchange(use)
    assert held_back.value.code == Code.READ_ONLY
    chip.memory.config[SLOT_CONFIG] &= ~LIMITED_USE  # as if the next board were in the fixture
    assert len(hal.exchange(use)) >= 4


@pytest.mark.parametrize("status", [0x0F, 0x03])
def test_a_key_is_not_used_when_the_configuration_cannot_be_read(status: int) -> None:
    hal = _Refusing(status)
    with pytest.raises(UsageError, match="does not show") as held_back:
        ReadOnlyHal(hal).exchange(packet(Opcode.SIGN, 0x80, 0))
    assert held_back.value.code == Code.READ_ONLY
    assert [sent[1] for sent in hal.sent] == [Opcode.READ]


def test_a_look_that_the_chip_did_not_begin_is_answered_as_if_it_were_the_command() -> None:
    hal = _Refusing(0xFF)
    assert ReadOnlyHal(hal).exchange(packet(Opcode.SIGN, 0x80, 0))[1] == 0xFF
    assert [sent[1] for sent in hal.sent] == [Opcode.READ]


class _Refusing(EmulatedHal):
    """Answers every packet with one status."""

    def __init__(self, status: int) -> None:
        super().__init__(SoftwareChip(), "emulator:")
        self.sent: list[bytes] = []
        self._status = status

    def exchange(self, packet: bytes) -> bytes:
        self.sent.append(packet)
        return with_crc(bytes((4, self._status)))


def test_a_permit_does_not_open_a_read_only_session() -> None:
    with open_read_only("emulator:") as device, device.permit(*Act), pytest.raises(UsageError) as held_back:
        device.lock_config(0)
    assert held_back.value.code == Code.READ_ONLY


def test_the_vendors_own_signing_call_is_blocked_for_a_key_of_limited_use(tmp_path: Path) -> None:
    file = tmp_path / "chip.json"
    with Device.open(f"emulator:{file}") as device, device.permit(*Act):
        device.write_config(5, bytes.fromhex("A3208720"))  # slot 0: limited use
        device.lock_config(_crc(device))
        device.gen_key(0)
        device.gen_key(1)
    before = file.read_bytes()
    with open_read_only(f"emulator:{file}") as device:
        assert len(device.get_pubkey(0)) == 64
        assert len(device.sign(1, bytes(32))) == 64
        with pytest.raises(UsageError, match="limited use"):
            device.sign(0, bytes(32))
        assert device.counter(0) == 0
    assert file.read_bytes() == before


def _crc(device: Device) -> int:
    return crc16(device.read_config())


@pytest.mark.parametrize(("query", "suffix"), [("", 0xEE), ("?image=tngtls", 0x01)])
def test_a_chip_file_that_does_not_exist_is_a_new_chip_and_is_not_created(
    tmp_path: Path, query: str, suffix: int
) -> None:
    with open_read_only(f"emulator:{tmp_path}/new.json{query}") as device:
        assert device.serial_number()[-1] == suffix
        assert len(device.read_config()) == 128
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writable", [True, False])
def test_an_existing_chip_file_is_not_touched(tmp_path: Path, writable: bool) -> None:
    file = tmp_path / "chip.json"
    Device.open(f"emulator:{file}").close()
    os.utime(file, ns=(1, 1))
    before = file.read_bytes(), file.stat()
    tmp_path.chmod(0o700 if writable else 0o500)
    try:
        with open_read_only(f"emulator:{file}") as device:
            assert device.info() == bytes.fromhex("00006002")
            device.random()
            serial = device.serial_number()
    finally:
        tmp_path.chmod(0o700)
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == (
        before[0], before[1].st_mtime_ns, before[1].st_ino,
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == [file]
    with Device.open(f"emulator:{file}") as device:
        assert device.serial_number() == serial


def test_a_damaged_chip_file_is_an_error_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "chip.json"
    file.write_text("{}")
    with pytest.raises(UsageError) as refused:
        open_read_only(f"emulator:{file}")
    assert refused.value.code == Code.FILE_INVALID
    assert file.read_text() == "{}"


def test_a_chip_that_another_program_has_open_is_busy(tmp_path: Path) -> None:
    with Device.open(f"emulator:{tmp_path}/chip.json"):
        with pytest.raises(TransportError) as busy:
            open_read_only(f"emulator:{tmp_path}/chip.json")
        assert busy.value.code == Code.DEVICE_BUSY
    open_read_only(f"emulator:{tmp_path}/chip.json").close()


def test_a_fault_plan_works_in_a_read_only_session(tmp_path: Path) -> None:
    plan = tmp_path / "faults.toml"
    plan.write_text('[[fault]]\nopcode = "Info"\nkind = "no-acknowledge"\ntimes = 9\n')
    with open_read_only(f"emulator:{tmp_path}/new.json?faults={plan}") as device:
        assert len(device.read_config()) == 128
        with pytest.raises(TransportError):
            device.info()
    assert list(tmp_path.iterdir()) == [plan]


def test_a_trace_holds_what_passed_and_the_look_at_the_configuration(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    with open_read_only("emulator:?image=tngtls", trace=trace) as device:
        device.sign(0, bytes(32))
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    opcodes = [int(line["sent"][2:4], 16) for line in lines if "sent" in line]
    assert opcodes[-4:] == [Opcode.NONCE, Opcode.READ, Opcode.READ, Opcode.SIGN]
