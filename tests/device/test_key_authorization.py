"""CheckMac authorization, counters and encrypted writes on the software chip; the vendor's host functions judge."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator

import pytest

from atcaprov import Act, Code, Device, DeviceError, UsageError
from atcaprov.chip.commands import Opcode
from atcaprov.device.key_authorization import (
    AuthorizedUse,
    NotAuthorizedError,
    authorize,
    check_mac_response,
    random_nonce,
)
from atcaprov.emulator.open_points import OpenPoints
from tests.support.chips import configured_memory
from tests.support.scripted_hal import ScriptedHal
from tests.support.stock_cryptoauthlib import LIBRARY

SECRET = hashlib.sha256(b"secret").digest()
WRITE_KEY = hashlib.sha256(b"write key").digest()
DIGEST = hashlib.sha256(b"message").digest()
KEY, AUTHORIZATION, WRITER = 0, 1, 3


@pytest.fixture
def hal() -> ScriptedHal:
    """A chip whose key 0 needs CheckMac on slot 1, which is written under slot 3."""
    hal = ScriptedHal()
    slots = {KEY: (0x0081, 0x0193), AUTHORIZATION: (0x439F, 0x005C), WRITER: (0x438F, 0x01DC)}
    content = {KEY: bytes(35) + b"\x07", AUTHORIZATION: SECRET, WRITER: WRITE_KEY}
    hal.chip.chip.core.memory = configured_memory(slots=slots, content=content)  # type: ignore[attr-defined]
    return hal


@pytest.fixture
def device(hal: ScriptedHal) -> Iterator[Device]:
    with Device(hal) as device:
        yield device


def _authorize(device: Device, secret: bytes = SECRET) -> bool:
    return authorize(device, AUTHORIZATION, secret, serial_number=device.serial_number())


def _refused(device: Device) -> None:
    with pytest.raises(DeviceError) as refused:
        device.sign(KEY, DIGEST)
    assert (refused.value.command, refused.value.status) == ("Sign", 0x0F)


def test_a_key_is_used_after_the_proof_only(device: Device) -> None:
    _refused(device)
    assert _authorize(device)
    public_key = device.get_pubkey(KEY)
    assert _authorize(device)
    assert device.verify_extern(DIGEST, device.sign(KEY, DIGEST), public_key)


def test_another_secret_authorizes_nothing(device: Device) -> None:
    assert not _authorize(device, WRITE_KEY)
    _refused(device)


@pytest.mark.parametrize("clears", [True, False])
def test_a_failed_proof_may_leave_an_earlier_authorization(device: Device, hal: ScriptedHal, clears: bool) -> None:
    """No public source confirms it for the ATECC608; the ATECC508A's data sheet leaves it (DS20005927A, 2.2.5)."""
    hal.chip.chip.core.open_points = OpenPoints(checkmac_failure_clears=clears)  # type: ignore[attr-defined]
    assert _authorize(device)
    assert not _authorize(device, bytes(32))
    if clears:
        _refused(device)
    else:
        device.sign(KEY, DIGEST)


def test_sleep_ends_the_authorization_and_idle_does_not(device: Device, hal: ScriptedHal) -> None:
    assert _authorize(device)
    hal.wake()
    hal.idle()
    device.sign(KEY, DIGEST)
    hal.wake()
    hal.sleep()
    _refused(device)


def test_overheard_response_is_useless(device: Device, hal: ScriptedHal) -> None:
    assert _authorize(device)
    overheard = [packet for packet in hal.packets if packet[1] in (Opcode.NONCE, Opcode.CHECK_MAC)]
    hal.wake()
    hal.sleep()
    hal.wake()
    replies = [hal.exchange(packet) for packet in overheard]
    assert replies[-1][1] == 0x01
    _refused(device)


def test_secret_is_replaced_with_write_key_and_authorization(device: Device) -> None:
    new = hashlib.sha256(b"new").digest()

    def change(write_key: bytes) -> None:
        with device.permit(Act.WRITE_SECRET):
            device.write_secret(AUTHORIZATION, new, write_key=write_key, write_key_slot=WRITER, num_in=bytes(range(20)))

    with pytest.raises(DeviceError):
        change(WRITE_KEY)  # not authorized
    assert _authorize(device)
    with pytest.raises(DeviceError):
        change(SECRET)  # another write key
    assert _authorize(device)
    change(WRITE_KEY)
    assert not _authorize(device)
    assert _authorize(device, new)


def test_a_secret_is_not_replaced_without_permit(device: Device) -> None:
    assert _authorize(device)
    with pytest.raises(UsageError) as held_back:
        device.write_secret(AUTHORIZATION, bytes(32), write_key=WRITE_KEY, write_key_slot=WRITER, num_in=bytes(20))
    assert held_back.value.code == Code.READ_ONLY
    assert _authorize(device)


@pytest.fixture(params=["one", "many"])
def authorized_use(device: Device, hal: ScriptedHal, request: pytest.FixtureRequest) -> AuthorizedUse:
    """The same chip under both readings of how many uses an authorization serves."""
    hal.chip.chip.core.open_points = OpenPoints(authorization_uses=request.param)  # type: ignore[attr-defined]
    return AuthorizedUse(device, AUTHORIZATION, device.serial_number())


def test_each_use_authorizes_itself_and_leaves_nothing(
    authorized_use: AuthorizedUse, device: Device, hal: ScriptedHal
) -> None:
    public_key = authorized_use.get_pubkey(KEY, SECRET)
    for _ in range(3):
        assert device.verify_extern(DIGEST, authorized_use.sign(KEY, DIGEST, SECRET), public_key)
        _refused(device)
    assert authorized_use.accepts(SECRET)
    _refused(device)
    with device.permit(Act.CREATE_KEY), pytest.raises(DeviceError) as refused:
        authorized_use.gen_key(KEY, SECRET)  # the slot forbids it
    assert refused.value.command == "GenKey"
    assert hal.chip.chip.core.volatile.authorized is None  # type: ignore[attr-defined]


def test_a_use_with_another_secret_is_not_tried(authorized_use: AuthorizedUse, hal: ScriptedHal) -> None:
    assert not authorized_use.accepts(WRITE_KEY)
    with pytest.raises(NotAuthorizedError) as refused:
        authorized_use.sign(KEY, DIGEST, WRITE_KEY)
    assert (refused.value.command, refused.value.status) == ("CheckMac", 0x01)
    assert Opcode.SIGN not in {packet[1] for packet in hal.packets}


def test_secrets_are_replaced_one_after_the_other(authorized_use: AuthorizedUse, device: Device) -> None:
    def write(slot: int, new: bytes, write_key: bytes) -> bool:
        with device.permit(Act.WRITE_SECRET):
            return authorized_use.write_secret(
                slot, new, SECRET, write_key=write_key, write_key_slot=WRITER, num_in=bytes(range(20))
            )

    assert write(WRITER, DIGEST, WRITE_KEY)
    assert not write(AUTHORIZATION, DIGEST, WRITE_KEY)
    assert write(AUTHORIZATION, DIGEST, DIGEST)
    assert [authorized_use.accepts(secret) for secret in (SECRET, DIGEST)] == [False, True]


def test_use_without_authorization_is_repeated_with_a_new_one(authorized_use: AuthorizedUse, hal: ScriptedHal) -> None:
    refusals: list[DeviceError] = []
    lost = iter([True])

    def answer(packet: bytes) -> bytes:
        if packet[1] == Opcode.SIGN and next(lost, False):
            hal.chip.sleep()
            hal.chip.wake()
        return hal.chip.exchange(packet)

    hal.answer = answer
    assert authorized_use.sign(KEY, DIGEST, SECRET, refusals.append)
    assert [(error.command, error.status) for error in refusals] == [("Sign", 0x0F)]


def test_counters_are_read_and_advanced(device: Device) -> None:
    assert [device.counter(0), device.counter(1)] == [0, 0]
    with device.permit(Act.ADVANCE_COUNTER):
        assert [device.increment_counter(1) for _ in range(40)] == list(range(1, 41))
    assert [device.counter(0), device.counter(1)] == [0, 40]


@pytest.mark.parametrize("seed", range(20))
def test_nonce_and_response_equal_those_of_the_vendors_host_functions(seed: int) -> None:
    stream = hashlib.shake_256(bytes([seed])).digest(200)
    random_out, num_in, other, serial, secret = (
        stream[:32], stream[32:52], stream[52:65], b"\x01\x23" + stream[65:71] + b"\xee", stream[80:112]
    )  # fmt: skip
    temp_key = vendor_nonce(random_out, num_in)
    assert random_nonce(random_out, num_in) == temp_key.value
    assert check_mac_response(secret, temp_key.value, other, serial) == vendor_check_mac(
        secret, temp_key, other, serial
    )


class TempKey(ctypes.Structure):
    """atca_temp_key_t of cryptoauthlib lib/host/atca_host.h."""

    _fields_ = (
        ("bytes", ctypes.c_uint8 * 64),
        ("flags", ctypes.c_uint32),
    )

    @property
    def value(self) -> bytes:
        return bytes(self.bytes[:32])


class NonceInOut(ctypes.Structure):
    _fields_ = (
        ("mode", ctypes.c_uint8),
        ("zero", ctypes.c_uint16),
        ("num_in", ctypes.c_void_p),
        ("rand_out", ctypes.c_void_p),
        ("temp_key", ctypes.POINTER(TempKey)),
    )


class CheckMacInOut(ctypes.Structure):
    _fields_ = (
        ("mode", ctypes.c_uint8),
        ("key_id", ctypes.c_uint16),
        ("sn", ctypes.c_void_p),
        ("client_chal", ctypes.c_void_p),
        ("client_resp", ctypes.c_void_p),
        ("other_data", ctypes.c_void_p),
        ("otp", ctypes.c_void_p),
        ("slot_key", ctypes.c_void_p),
        ("target_key", ctypes.c_void_p),
        ("temp_key", ctypes.POINTER(TempKey)),
    )


def _at(data: bytes) -> ctypes.c_void_p:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p)


def vendor_nonce(random_out: bytes, num_in: bytes) -> TempKey:
    temp_key = TempKey()
    parameters = NonceInOut(0, 0, _at(num_in), _at(random_out), ctypes.pointer(temp_key))
    assert LIBRARY.atcah_nonce(ctypes.byref(parameters)) == 0
    return temp_key


def vendor_check_mac(secret: bytes, temp_key: TempKey, other: bytes, serial: bytes) -> bytes:
    response = ctypes.create_string_buffer(32)
    parameters = CheckMacInOut(
        mode=1,
        key_id=1,
        sn=_at(serial),
        client_resp=ctypes.cast(response, ctypes.c_void_p),
        other_data=_at(other),
        slot_key=_at(secret),
        temp_key=ctypes.pointer(temp_key),
    )
    assert LIBRARY.atcah_check_mac(ctypes.byref(parameters)) == 0
    return response.raw
