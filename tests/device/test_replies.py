"""Any answer of a chip or a broken bus ends in one typed error at most, and the device can be used again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import Act, Code, Device, DeviceError, ProtocolError, TransportError
from atcaprov.chip.crc import with_crc
from atcaprov.device import library_abi as library
from atcaprov.device.replies import check_reply
from tests.support.scripted_hal import ScriptedHal

INFO = bytes.fromhex("0730000000035d")
GOOD = bytes.fromhex("07000060028038")  # kit exchange of an ATECC608A, MicrochipTech/cryptoauthlib


@pytest.mark.slow
@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_reply_is_an_answer_or_a_typed_error(reply: bytes) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        hal.answer = lambda packet: reply
        with pytest.raises((ProtocolError, TransportError, DeviceError)):
            device.read_config()
        hal.answer = None
        assert device.info() == bytes.fromhex("00006002")


@pytest.mark.slow
@given(st.integers(4, 155), st.data())
@settings(max_examples=150, deadline=None)
def test_any_well_formed_reply_is_an_answer_or_a_typed_error(count: int, data: st.DataObject) -> None:
    reply = with_crc(bytes([count]) + data.draw(st.binary(min_size=count - 3, max_size=count - 3)))
    hal = ScriptedHal()
    with Device(hal) as device:
        hal.answer = lambda packet: reply
        for command in (device.info, device.read_config, device.random, lambda: device.sign(0, bytes(32))):
            try:
                answer = command()
            except (ProtocolError, DeviceError):
                continue
            assert len(answer) in (4, 32, 64, 128)


@pytest.mark.parametrize("size", range(1, len(GOOD)))
def test_a_truncated_reply(size: int) -> None:
    with pytest.raises(ProtocolError):
        check_reply(INFO, GOOD[:size])


@pytest.mark.parametrize("bit", range(8 * len(GOOD)))
def test_one_flipped_bit(bit: int) -> None:
    changed = bytearray(GOOD)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError) as bad:
        check_reply(INFO, bytes(changed))
    assert bad.value.code == Code.BAD_PACKET


def test_the_good_one_passes() -> None:
    check_reply(INFO, GOOD)


@pytest.mark.parametrize(
    "command", ["read_config", "serial_number", "info", "random", "a_counter", "a_digest", "a_mac"]
)
@pytest.mark.parametrize("reply", ["04000340", "04113343"])
def test_reply_without_data_is_refused_for_a_command_with_data(command: str, reply: str) -> None:
    others: dict[str, Callable[[Device], object]] = {
        "a_counter": lambda device: device.counter(0),
        "a_digest": lambda device: device.sha256(b"abc"),
        "a_mac": lambda device: device.mac(0, bytes(32)),
    }
    hal = ScriptedHal()
    with Device(hal) as device:
        hal.answer = lambda packet: bytes.fromhex(reply)
        with pytest.raises(ProtocolError) as bad:
            others[command](device) if command in others else getattr(device, command)()
    assert bad.value.code == (Code.CHIP_RESTARTED if reply == "04113343" else Code.BAD_PACKET)


def test_restarted_chip_is_not_reported_as_a_refusal() -> None:
    hal = ScriptedHal()
    with Device(hal) as device, device.permit(Act.LOCK_CONFIG):
        hal.answer = lambda packet: bytes.fromhex("04113343")
        with pytest.raises(ProtocolError, match="whether the command was executed is unknown"):
            device.lock_config(0)
    assert len(hal.packets) == 1


def test_no_reply() -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        hal.answer = lambda packet: b""
        with pytest.raises(TransportError) as silent:
            device.info()
        assert silent.value.code == Code.DEVICE_NO_REPLY
    assert len(hal.packets) == 1


@pytest.mark.parametrize("status", [0x03, 0x07, 0x08, 0x0F, 0x42])
def test_status_error_has_its_byte(status: int) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        hal.answer = lambda packet: with_crc(bytes([4, status]))
        with pytest.raises(DeviceError) as refused:
            device.info()
    assert refused.value.status == status
    assert f"{status:02X}" in str(refused.value)
    assert len(hal.packets) == 1


@pytest.mark.parametrize("status", [0xFF, 0xEE, 0x05])
def test_a_command_that_was_not_executed_is_sent_again(status: int) -> None:
    hal = ScriptedHal()
    answers = [with_crc(bytes([4, status]))] * 2
    hal.answer = lambda packet: answers.pop() if answers else hal.chip.exchange(packet)
    with Device(hal) as device:
        assert device.info() == bytes.fromhex("00006002")
    assert hal.packets == [INFO] * 3


def test_command_is_sent_again_a_limited_number_of_times() -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        hal.answer = lambda packet: bytes.fromhex("04FF0142")
        with pytest.raises(DeviceError):
            device.info()
    assert hal.packets == [INFO] * 3


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), ZeroDivisionError("own"), TransportError("gone")]
)
def test_error_of_a_hal_is_raised_unchanged(error: BaseException) -> None:
    hal = ScriptedHal()

    def fail(packet: bytes) -> bytes:
        raise error

    with Device(hal) as device:
        hal.answer = fail
        with pytest.raises(type(error)) as raised:
            device.info()
        assert raised.value is error
        hal.answer = None
        device.info()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_ctrl_c_is_raised_after_the_command_has_ended() -> None:
    assert threading.current_thread() is threading.main_thread()
    hal = ScriptedHal()
    ended = []

    def interrupt(packet: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        reply = hal.chip.exchange(packet)
        ended.append(packet)
        return reply

    with Device(hal) as device:
        hal.answer = interrupt
        for _ in range(20):
            with pytest.raises(KeyboardInterrupt), device.permit(Act.WRITE_CONFIG):
                device.write_config(5, bytes(4))
        hal.answer = None
        assert device.read_config_word(5) == bytes(4)
    assert len(ended) == 20


def test_missing_cryptoauthlib_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    library.load_library.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TransportError) as missing:
        library.load_library()
    assert missing.value.code == Code.LIBRARY_MISSING
    assert "cryptoauthlib" in str(missing.value)
