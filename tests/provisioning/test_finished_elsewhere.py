"""Finished chips that this station's server did not certify as the station wants it: judged by their own contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, LOCKED
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.device import Act, Device
from atcaprov.errors import AtcaProvError, Board, Code, DeviceError, ProvisioningError
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.provision import Provisioner
from atcaprov.wire.messages import CertificatesReply, ErrorReply
from tests.support.in_memory_server import Authority, InMemory
from tests.support.scripted_hal import ScriptedHal


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def under_the_same_root(authority: Authority) -> Authority:
    other = Authority()
    other.root_key = authority.root_key
    return other


def refuse(code: Code) -> Callable[[Any], Any]:
    """Return a tampering by which the server refuses to give certificates."""
    refusal = ErrorReply(code.value, "The server says so.", False)
    return lambda reply: refusal if isinstance(reply, CertificatesReply | ErrorReply) else reply


def finished(authority: Authority) -> ScriptedHal:
    hal = ScriptedHal()
    with Device(hal) as device:
        Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    hal.packets.clear()
    return hal


def fate(hal: ScriptedHal, authority: Authority, tamper: Callable[[Any], Any] = lambda reply: reply) -> AtcaProvError:
    functions = InMemory(authority)
    functions.tamper = tamper
    with Device(hal) as device, pytest.raises(AtcaProvError) as caught:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert functions.notices == []
    assert {packet[1] for packet in hal.packets} <= {Opcode.READ, Opcode.GEN_KEY, Opcode.NONCE, Opcode.SIGN}
    return caught.value


@pytest.mark.parametrize("code", [Code.NOT_ISSUED, Code.CHIP_HAS_OTHER_SIGNER])
def test_a_chip_of_another_signer_of_the_root_is_good_and_set_aside(authority: Authority, code: Code) -> None:
    error = fate(finished(under_the_same_root(authority)), authority, refuse(code))
    assert (error.code, error.board) == (Code.FINISHED_ELSEWHERE, Board.SET_ASIDE)
    assert "finished and good: another signer of the same root" in str(error)
    assert "red bin" not in str(error)


@pytest.mark.parametrize("code", [Code.NOT_ISSUED, Code.CHIP_HAS_OTHER_KEY])
def test_a_false_answer_of_the_server_makes_no_finished_board_scrap(authority: Authority, code: Code) -> None:
    error = fate(finished(authority), authority, refuse(code))
    assert (error.code, error.board) == (Code.FINISHED_ELSEWHERE, Board.SET_ASIDE)
    assert "no record" in str(error)


def test_a_chip_of_another_root_is_scrap_here(authority: Authority) -> None:
    error = fate(finished(Authority()), authority)
    assert (error.code, error.board) == (Code.DATA_LOCKED_OTHER, Board.SCRAP)


def test_a_chip_of_another_product_is_set_aside(authority: Authority) -> None:
    other = under_the_same_root(authority)
    other.device_definition = replace(other.device_definition, template_id=9)
    error = fate(finished(other), authority)
    assert (error.code, error.board) == (Code.DATA_LOCKED_OTHER, Board.SET_ASIDE)
    assert "template id 9" in str(error)


@pytest.mark.parametrize("with_key", [True, False])
def test_a_locked_chip_without_certificates_is_scrap(authority: Authority, with_key: bool) -> None:
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


def test_a_fault_while_it_is_judged_condemns_no_board(authority: Authority) -> None:
    hal = finished(under_the_same_root(authority))
    fault = with_crc(bytes((4, Status.ECC_FAULT)))
    hal.answer = lambda packet: fault if packet[1] == Opcode.SIGN else hal.chip.exchange(packet)
    error = fate(hal, authority)
    assert isinstance(error, DeviceError)
    assert error.board == Board.RETRY


def test_a_chip_whose_key_does_not_fit_its_certificate_is_scrap(authority: Authority) -> None:
    hal = finished(under_the_same_root(authority))

    def damaged(packet: bytes) -> bytes:
        reply = hal.chip.exchange(packet)
        if packet[1] != Opcode.SIGN:
            return reply
        return with_crc(reply[:9] + bytes((reply[9] ^ 1,)) + reply[10:-2])

    hal.answer = damaged
    assert fate(hal, authority).board == Board.SCRAP


@pytest.mark.parametrize(("image", "name"), [("tngtls", "TNGTLS"), ("tflxtls", "TFLXTLS")])
def test_a_trust_part_is_a_wrong_part(authority: Authority, image: str, name: str) -> None:
    hal = ScriptedHal(f"emulator:?image={image}")
    error = fate(hal, authority)
    assert isinstance(error, ProvisioningError)
    assert (error.code, error.board) == (Code.WRONG_PART, Board.UNTOUCHED)
    assert f"Trust part (ATECC608 {name})" in str(error)
    assert "used" not in str(error)
