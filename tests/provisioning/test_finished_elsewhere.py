"""Finished and half-done chips of which the server does not say what the station wants: judged by their contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from atcaprov import (
    Act,
    AtcaProvError,
    Board,
    CertificateError,
    Code,
    Device,
    DeviceError,
    Profile,
    ProtocolError,
    Provisioner,
    ProvisioningError,
    ServerRejected,
    TransportError,
)
from atcaprov.chip.commands import GEN_KEY_CREATE, Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, LOCKED
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.zones.config_zone import lock_config, write_config
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.framing import Header
from atcaprov.wire.messages import MESSAGES, AnyMessage, CertificatesReply, ErrorReply, MessageType, SignerRequest
from tests.support.in_memory_server import InMemory, MemoryCa, change, unreachable
from tests.support.scripted_hal import ScriptedHal


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


def under_the_same_root(authority: MemoryCa) -> MemoryCa:
    other = MemoryCa()
    other.root_key = authority.root_key
    return other


def refuse(code: Code) -> Callable[[Any], Any]:
    """Return a tampering by which the server refuses to give certificates."""
    refusal = ErrorReply(code.value, "A reason of the server.", False)
    return lambda reply: refusal if isinstance(reply, CertificatesReply | ErrorReply) else reply


def finished(authority: MemoryCa) -> ScriptedHal:
    hal = ScriptedHal()
    with Device(hal) as device:
        Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    hal.packets.clear()
    return hal


def fate(hal: ScriptedHal, authority: MemoryCa, tamper: Callable[[Any], Any] = lambda reply: reply) -> AtcaProvError:
    functions = InMemory(authority)
    functions.tamper = tamper
    with Device(hal) as device, pytest.raises(AtcaProvError) as caught:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert functions.notices == []
    assert {packet[1] for packet in hal.packets} <= {
        Opcode.INFO,
        Opcode.READ,
        Opcode.GEN_KEY,
        Opcode.NONCE,
        Opcode.SIGN,
    }
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("code", [Code.NOT_ISSUED, Code.CHIP_HAS_OTHER_SIGNER])
def test_a_chip_of_another_signer_of_the_root_is_good_and_set_aside(authority: MemoryCa, code: Code) -> None:
    error = fate(finished(under_the_same_root(authority)), authority, refuse(code))
    assert (error.code, error.board) == (Code.FINISHED_ELSEWHERE, Board.SET_ASIDE)
    assert "provisioned and good: another signer of the same root" in str(error)
    assert "red bin" not in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("code", [Code.NOT_ISSUED, Code.CHIP_HAS_OTHER_KEY])
def test_wrong_server_answer_does_not_scrap_a_provisioned_board(authority: MemoryCa, code: Code) -> None:
    error = fate(finished(authority), authority, refuse(code))
    assert (error.code, error.board) == (Code.FINISHED_ELSEWHERE, Board.SET_ASIDE)
    assert "no record" in str(error)


@pytest.mark.slow
def test_a_chip_of_another_root_is_scrap_here(authority: MemoryCa) -> None:
    error = fate(finished(MemoryCa()), authority)
    assert (error.code, error.board) == (Code.DATA_LOCKED_OTHER, Board.SCRAP)


@pytest.mark.slow
def test_a_chip_of_another_product_is_set_aside(authority: MemoryCa) -> None:
    other = under_the_same_root(authority)
    other.device_definition = replace(other.device_definition, template_id=9)
    error = fate(finished(other), authority)
    assert (error.code, error.board) == (Code.DATA_LOCKED_OTHER, Board.SET_ASIDE)
    assert "template id 9" in str(error)


@pytest.mark.parametrize("with_key", [True, False])
def test_a_locked_chip_without_certificates_is_scrap(authority: MemoryCa, with_key: bool) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        config = bytearray(DEFAULT_608A)
        memory = hal.chip.chip.memory  # type: ignore[attr-defined]
        memory.config[16:84] = config[16:84]
        memory.config[88:128] = config[88:128]
        memory.config[LOCK_CONFIG] = LOCKED
        if with_key:
            with device.permit(Act.CREATE_KEY):
                device.gen_key(0)
        memory.config[LOCK_VALUE] = LOCKED
        hal.packets.clear()
    error = fate(hal, authority)
    assert (error.code, error.board) == (Code.DATA_LOCKED_OTHER, Board.SCRAP)


@pytest.mark.slow
def test_transport_error_during_judging_does_not_scrap_the_board(authority: MemoryCa) -> None:
    hal = finished(under_the_same_root(authority))
    fault = with_crc(bytes((4, Status.ECC_FAULT)))
    hal.answer = lambda packet: fault if packet[1] == Opcode.SIGN else hal.chip.exchange(packet)
    error = fate(hal, authority)
    assert isinstance(error, DeviceError)
    assert error.board == Board.RETRY


@pytest.mark.slow
def test_a_chip_whose_key_does_not_fit_its_certificate_is_scrap(authority: MemoryCa) -> None:
    hal = finished(under_the_same_root(authority))

    def damaged(packet: bytes) -> bytes:
        reply = hal.chip.exchange(packet)
        if packet[1] != Opcode.SIGN:
            return reply
        return with_crc(reply[:9] + bytes((reply[9] ^ 1,)) + reply[10:-2])

    hal.answer = damaged
    assert fate(hal, authority).board == Board.SCRAP


@pytest.mark.parametrize(("image", "name"), [("tngtls", "TNGTLS"), ("tflxtls", "TFLXTLS")])
def test_a_trust_part_is_a_wrong_part(authority: MemoryCa, image: str, name: str) -> None:
    hal = ScriptedHal(f"emulator:?image={image}")
    error = fate(hal, authority)
    assert isinstance(error, ProvisioningError)
    assert (error.code, error.board) == (Code.WRONG_PART, Board.UNTOUCHED)
    assert f"Trust part (ATECC608 {name})" in str(error)
    assert "used" not in str(error)


def half_done(authority: MemoryCa) -> ScriptedHal:
    """Return a chip that was cut after its certificates were written."""
    hal, functions = ScriptedHal(), InMemory(authority)
    functions.write = unreachable  # type: ignore[assignment]
    with Device(hal) as device, pytest.raises(TransportError):
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    hal.packets.clear()
    return hal


def key_of(hal: ScriptedHal) -> bytes:
    with Device(hal) as device:
        return device.get_pubkey(0)


def asks_for_key(packet: bytes) -> bool:
    return packet[1] == Opcode.GEN_KEY and not packet[2] & GEN_KEY_CREATE


@pytest.mark.parametrize("make", [half_done, finished])
def test_computation_error_does_not_mean_missing_key(
    authority: MemoryCa, make: Callable[[MemoryCa], ScriptedHal]
) -> None:
    hal = make(authority)
    key = key_of(hal)
    fault = with_crc(bytes((4, Status.ECC_FAULT)))
    hal.answer = lambda packet: fault if asks_for_key(packet) else hal.chip.exchange(packet)
    with Device(hal) as device, pytest.raises(DeviceError) as refused:
        Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    assert refused.value.board == Board.RETRY
    hal.answer = None
    assert key_of(hal) == key


@pytest.mark.parametrize("status", [Status.ECC_FAULT, Status.EXECUTION_ERROR])
def test_a_chip_that_was_cut_before_its_key_makes_one(authority: MemoryCa, status: Status) -> None:
    """Which of the two statuses a chip without a key answers is in no public document."""
    hal = ScriptedHal()
    made: list[bytes] = []

    def answer(packet: bytes) -> bytes:
        made.extend([packet] if packet[1] == Opcode.GEN_KEY and packet[2] & GEN_KEY_CREATE else [])
        return with_crc(bytes((4, status))) if asks_for_key(packet) and not made else hal.chip.exchange(packet)

    with Device(hal) as device:
        with device.permit(Act.WRITE_CONFIG, Act.LOCK_CONFIG):
            lock_config(device, write_config(device, device.read_config(), DEFAULT_608A))
        hal.answer = answer
        Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    assert len(made) == 1


def numberless(data: bytes) -> bytes:
    """Return an answer as an older server gives it."""
    body = MESSAGES[data[3]].from_body(data[8:])
    return Header(data[3], len(plain := replace(body, request_number=0).body())).pack() + plain


def test_late_answer_without_number_keeps_the_key(authority: MemoryCa) -> None:
    """Each answer comes when the next request is out: the first that is read is a `not-issued` for another chip."""
    hal = half_done(authority)
    key = key_of(hal)
    functions = InMemory(authority)
    held: list[AnyMessage] = [ErrorReply(Code.NOT_ISSUED.value, "Nothing was issued.", False)]

    def late(reply: Any) -> Any:
        if isinstance(reply, CertificatesReply | ErrorReply):
            held.append(reply)
            return held.pop(0)
        return reply

    functions.tamper, functions.raw = late, numberless
    with Device(hal) as device:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert key_of(hal) == key


@pytest.mark.slow
def test_a_late_answer_of_a_server_with_numbers_is_refused(authority: MemoryCa) -> None:
    hal = half_done(authority)
    key = key_of(hal)
    functions = InMemory(authority)
    late = Connection(Role.SERVER)
    late.receive_data(Connection(Role.CLIENT).send(SignerRequest(authority.signer_public_key, request_number=1)))
    late.next_event()
    data = late.send(ErrorReply(Code.NOT_ISSUED.value, "Nothing was issued.", False))
    functions.raw = lambda honest: data if honest[3] == MessageType.CERTIFICATES_REPLY else honest
    with Device(hal) as device, pytest.raises(ProtocolError, match="answers another request") as refused:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert refused.value.board == Board.RETRY
    assert key_of(hal) == key
    functions.raw = lambda honest: honest
    with Device(hal) as device:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert key_of(hal) == key


def test_each_request_has_a_number_of_its_own(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    with Device.open("emulator:") as device:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    numbers = [request.request_number for request in functions.requests]
    assert len(set(numbers)) == len(numbers) == 2
    assert 0 not in numbers


@pytest.mark.parametrize("retryable", [True, False])
def test_permanent_refusal_is_not_retried(authority: MemoryCa, retryable: bool) -> None:
    functions = InMemory(authority)
    refusal = ErrorReply(Code.QUOTA_USED_UP.value, "The signer has issued all.", retryable)
    functions.tamper = lambda reply: refusal if isinstance(reply, CertificatesReply) else reply
    with Device.open("emulator:") as device, pytest.raises(ServerRejected) as refused:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert refused.value.board == (Board.RETRY if retryable else Board.SET_ASIDE)


def test_wrong_certificates_are_not_retried(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    functions.tamper = change(device_compressed=bytes(72))
    with Device.open("emulator:") as device, pytest.raises(CertificateError) as refused:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert refused.value.board == Board.SET_ASIDE


@pytest.mark.parametrize("slots_to_lock", [(), (8,)], ids=["in stage 10", "before stage 9"])
def test_a_chip_with_valid_certificates_other_than_the_servers_is_set_aside(
    slots_to_lock: tuple[int, ...],
) -> None:
    """The server has issued a second time for the same key: the chip is as good as before."""
    authority = MemoryCa()
    hal = finished(authority)
    (chip,) = authority.issued
    authority.issued[chip] = authority.certify(*chip)
    before = hal.memory.image()
    with Device(hal) as device, pytest.raises(CertificateError) as error:
        Provisioner(Profile(slots_to_lock=slots_to_lock), authority.cert_info, InMemory(authority)).provision(device)
    assert (error.value.code, error.value.board) == (Code.CERTIFICATE_MISMATCH, Board.SET_ASIDE)
    assert "valid all the same" in error.value.advice
    assert hal.memory.image() == before
