from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atcaprov import Act, Code, Device, DeviceError, ProtocolError, TransportError, UsageError, read_trace
from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import SLOT_SIZES
from tests.support.scripted_hal import ScriptedHal

DIGEST = hashlib.sha256(b"challenge").digest()


@pytest.fixture
def hal() -> ScriptedHal:
    return ScriptedHal()


@pytest.fixture
def device(hal: ScriptedHal) -> Iterator[Device]:
    with Device(hal) as device:
        yield device


def _lock_config(device: Device) -> None:
    with device.permit(Act.LOCK_CONFIG):
        device.lock_config(crc16(device.read_config()))


def test_info_and_serial_number(device: Device) -> None:
    assert device.info() == bytes.fromhex("00006002")
    serial = device.serial_number()
    assert serial[:2] == b"\x01\x23"
    assert serial[8] == 0xEE
    config = device.read_config()
    assert config[:4] + config[8:13] == serial
    assert device.read_config_word(21) == config[84:88] == bytes.fromhex("00005555")


def test_config_writes_by_word_and_block(device: Device) -> None:
    config = device.read_config()
    with device.permit(Act.WRITE_CONFIG):
        device.write_config(5, b"\x85\x00\x82\x20")
        device.write_config(24, bytes(32))
        device.update_extra(0, 0x5A)
    expected = config[:20] + b"\x85\x00\x82\x20" + config[24:84] + b"\x5a" + config[85:96] + bytes(32)
    assert device.read_config() == expected


def test_config_write_of_an_odd_size_is_refused_before_it_is_sent(device: Device, hal: ScriptedHal) -> None:
    with device.permit(Act.WRITE_CONFIG), pytest.raises(UsageError):
        device.write_config(4, bytes(5))
    with device.permit(Act.WRITE_CONFIG), pytest.raises(UsageError):
        device.write_config(9, bytes(32))
    assert hal.packets == []


def test_lock_with_another_crc_locks_nothing(device: Device) -> None:
    with device.permit(Act.LOCK_CONFIG), pytest.raises(DeviceError) as refused:
        device.lock_config(crc16(device.read_config()) ^ 1)
    assert (refused.value.command, refused.value.status) == ("Lock", 0x0F)
    assert device.read_config_word(21)[3] == 0x55


def test_key_signs_and_both_sides_verify(device: Device) -> None:
    _lock_config(device)
    with device.permit(Act.CREATE_KEY):
        public_key = device.gen_key(0)
    assert device.get_pubkey(0) == public_key
    signature = device.sign(0, DIGEST)
    assert device.verify_extern(DIGEST, signature, public_key)
    assert not device.verify_extern(bytes(32), signature, public_key)


@pytest.mark.parametrize("slot", [8, 10, 13])
def test_what_was_written_to_a_slot_is_read_from_any_offset(device: Device, slot: int) -> None:
    size = SLOT_SIZES[slot]
    content = hashlib.shake_128(bytes([slot])).digest(size)
    _lock_config(device)
    with device.permit(Act.WRITE_DATA, Act.LOCK_DATA):
        for block in range(-(-size // 32)):
            device.write_slot_block(slot, block, content[32 * block : 32 * block + 32].ljust(32, b"\0"))
        _lock_data(device, {slot: content})
    for offset, count in ((0, size), (0, 1), (1, 3), (31, 2), (size - 1, 1), (size - 9, 9), (4, 40)):
        assert device.read_slot(slot, offset, count) == content[offset : offset + count]


def _lock_data(device: Device, written: dict[int, bytes]) -> None:
    config = device.read_config()
    private = [slot for slot in range(16) if config[96 + 2 * slot] & 1]
    image = b"".join(written.get(slot, b"\xff" * size) for slot, size in enumerate(SLOT_SIZES) if slot not in private)
    device.lock_data(crc16(image + b"\xff" * 64))


@pytest.mark.parametrize(("slot", "offset", "count"), [(16, 0, 1), (-1, 0, 1), (10, 70, 3), (10, -1, 1), (0, 0, 0)])
def test_reads_outside_a_slot_are_refused_before_they_are_sent(
    device: Device, hal: ScriptedHal, slot: int, offset: int, count: int
) -> None:
    with pytest.raises(UsageError):
        device.read_slot(slot, offset, count)
    assert hal.packets == []


def test_the_chips_digest_is_sha256(device: Device) -> None:
    for message in (b"", b"abc", bytes(64), bytes(range(200))):
        assert device.sha256(message) == hashlib.sha256(message).digest()


def test_random_is_a_pattern_until_the_config_lock(device: Device) -> None:
    assert device.random() == bytes.fromhex("ffff0000") * 8
    _lock_config(device)
    assert device.random() != device.random()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_sizes_are_checked_before_anything_is_sent(device: Device, hal: ScriptedHal, size: int) -> None:
    with pytest.raises(UsageError):
        device.sign(0, bytes(size))
    with pytest.raises(UsageError):
        device.verify_extern(bytes(32), bytes(size), bytes(64))
    assert hal.packets == []


def test_a_refusal_keeps_code_command_and_explanation(device: Device) -> None:
    with pytest.raises(DeviceError) as refused:
        device.get_pubkey(0)
    assert refused.value.code == Code.CHIP_REFUSED
    assert refused.value.command == "GenKey"
    assert refused.value.status == 0x0F
    assert "not allowed" in str(refused.value)


def test_closing_sleeps_and_releases_once(hal: ScriptedHal) -> None:
    device = Device(hal)
    device.info()
    device.close()
    device.close()
    assert hal.closed == 1
    with pytest.raises(TransportError):
        device.info()


@pytest.mark.parametrize(
    "error",
    [ProtocolError("Damaged."), TransportError("Gone."), DeviceError("Refused.", command="Read", status=0x0F)],
    ids=lambda error: type(error).__name__,
)
def test_a_damaged_answer_to_the_last_sleep_raises_nothing(
    hal: ScriptedHal, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def sleep() -> None:
        raise error

    monkeypatch.setattr(hal, "sleep", sleep)
    with Device(hal) as device:
        device.info()
    assert hal.closed == 1


def test_sixteen_devices_in_sixteen_threads() -> None:
    def identity(_: int) -> tuple[bytes, bytes, bool]:
        with Device.open("emulator:") as device:
            _lock_config(device)
            with device.permit(Act.CREATE_KEY):
                public_key = device.gen_key(0)
            return device.serial_number(), public_key, device.verify_extern(DIGEST, device.sign(0, DIGEST), public_key)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(identity, range(16)))
    assert len({serial for serial, _, _ in found}) == 16
    assert len({key for _, key, _ in found}) == 16
    assert all(verified for _, _, verified in found)


def test_every_command_that_the_device_sends_has_a_known_execution_time(device: Device, hal: ScriptedHal) -> None:
    _lock_config(device)
    with device.permit(Act.CREATE_KEY):
        device.gen_key(0)
    device.sign(0, DIGEST)
    assert {Opcode(packet[1]) for packet in hal.packets} <= set(MAX_EXECUTION_MS_M0)


def test_open_writes_a_trace_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with Device.open("emulator:", trace=path) as device:
        device.info()
    trace = read_trace(path)
    assert trace.complete
    assert [event.do for event in trace.events].count("exchange") == 1


def test_device_that_cannot_be_driven_leaves_a_finished_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver(*_: object) -> None:
        raise UsageError("The vendor's library cannot be loaded.")

    monkeypatch.setattr("atcaprov.device.device.Driver", no_driver)
    path = tmp_path / "trace.jsonl"
    with pytest.raises(UsageError, match="cannot be loaded"):
        Device.open("emulator:", trace=path)
    assert read_trace(path).complete


def test_trace_that_cannot_be_made_leaves_no_device_open(tmp_path: Path) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    with pytest.raises(UsageError):
        Device.open(url, trace=tmp_path / "missing" / "trace.jsonl")
    Device.open(url).close()
