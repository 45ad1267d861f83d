"""Real modules on software chips whose bus or chip fails in the middle of signing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import Device, TransportError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.wire.messages import CertificatesRequest, ErrorReply
from provisioning_server import rejections
from provisioning_server.signers.module import PluggedModule
from signer_module.on_chip.module import SignerModule
from tests.support.issuing_without_sockets import IssuingLine, certificates, refused
from tests.support.scripted_hal import ScriptedHal
from tests.support.server_parts import config_zone, key_of
from tests.support.signer_modules import PASSWORD, make, no_pause, open_order, order, replug, root_folder

Answer = Callable[[bytes], bytes]


def unplugged(_: bytes) -> bytes:
    raise TransportError("The port is gone.")


def garbage(_: bytes) -> bytes:
    return b"\x43" + bytes(66)


def wrong_signature(_: bytes) -> bytes:
    return with_crc(b"\x43" + bytes(range(64)))


@pytest.fixture
def hals() -> list[ScriptedHal]:
    return [ScriptedHal(), ScriptedHal()]


@pytest.fixture
def modules(hals: list[ScriptedHal], tmp_path: Path) -> list[PluggedModule]:
    """Two modules of one product."""
    root = root_folder(tmp_path / "root")
    for number, hal in enumerate(hals):
        with Device(hal) as device:
            make(device, root, open_order(), (number + 1).to_bytes(2, "big"))
    return [PluggedModule(SignerModule.on(Device(hal), no_pause)) for hal in hals]


def request(signer: PluggedModule, number: int) -> CertificatesRequest:
    return CertificatesRequest(
        config_zone(number), key_of(number), signer.documents.signer_public_key, any_of_group=True
    )


def fail_at_sign(hal: ScriptedHal, answer: Answer) -> None:
    honest = hal.chip.exchange
    hal.answer = lambda packet: answer(packet) if packet[1] == Opcode.SIGN else honest(packet)


@pytest.mark.slow
@pytest.mark.parametrize("answer", [unplugged, garbage, wrong_signature])
def test_the_other_module_takes_over(
    hals: list[ScriptedHal], modules: list[PluggedModule], tmp_path: Path, answer: Answer
) -> None:
    fail_at_sign(hals[0], answer)
    with IssuingLine(tmp_path / "data", modules) as line:
        asked = [line.ask(request(modules[0], number)) for number in range(1, 9)]
        replies = [certificates(each) for each in asked]
        assert {reply.signer_certificate for reply in replies} == {modules[1].documents.signer_certificate}
        assert [line.certify(request(modules[1], number)) for number in range(1, 9)] == replies
    for module in modules:
        module.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (unplugged, rejections.SIGNER_UNPLUGGED),
        (garbage, rejections.SIGNER_QUARANTINED),
        (wrong_signature, rejections.SIGNER_QUARANTINED),
    ],
)
def test_only_module_unplugged_is_reported_and_works_after_replug(
    hals: list[ScriptedHal], modules: list[PluggedModule], tmp_path: Path, answer: Answer, reply: ErrorReply
) -> None:
    first = modules[0]
    with IssuingLine(tmp_path / "data", [first]) as line:
        before = line.certify(request(first, 1))
        fail_at_sign(hals[0], answer)
        assert refused(line.ask(request(first, 2))) == reply
        assert line.certify(request(first, 1)) == before
        assert not line.records(2)
        line.unplug(first)
        first.close()
        hals[0].answer = None
        again = PluggedModule(SignerModule.on(Device(hals[0]), no_pause))
        line.plug(again)
        line.certify(request(first, 2))
    again.close()
    modules[1].close()


@pytest.mark.slow
@pytest.mark.parametrize("opcode", [Opcode.SIGN, Opcode.NONCE, Opcode.CHECK_MAC], ids=lambda opcode: opcode.name)
@pytest.mark.parametrize("password", [None, PASSWORD], ids=["open", "password"])
def test_one_damaged_answer_costs_one_signature_at_most(tmp_path: Path, opcode: Opcode, password: bytes | None) -> None:
    hal, damaged = ScriptedHal(), 0

    def noisy(packet: bytes) -> bytes:
        nonlocal damaged
        reply = hal.chip.exchange(packet)
        if packet[1] != opcode or damaged:
            return reply
        damaged += 1
        return reply[:-1] + bytes((reply[-1] ^ 1,))

    with Device(hal) as device:
        make(device, root_folder(tmp_path / "root"), order(password, quota=10))
    module = PluggedModule(SignerModule.on(Device(hal), no_pause))
    module.unlock(password)
    with IssuingLine(tmp_path / "data", [module]) as line:
        line.certify(request(module, 1))
        if opcode is not Opcode.SIGN:
            replug(hal)  # so that the password is needed again
        hal.answer = noisy
        for number in (2, 3):
            line.certify(request(module, number))
        assert damaged == 1
        lost = 1 if opcode is Opcode.SIGN else 0
        assert module.remaining == 10 - 3 - lost
        assert line.registry.usable(module)
    module.close()


@pytest.mark.slow
def test_the_last_signature_lost_to_noise_is_a_quota_used_up(tmp_path: Path) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        make(device, root_folder(tmp_path / "root"), open_order(quota=1))
    module = PluggedModule(SignerModule.on(Device(hal), no_pause))
    honest = hal.chip.exchange

    def noisy(packet: bytes) -> bytes:
        reply = honest(packet)
        return reply[:-1] + bytes((reply[-1] ^ 1,)) if len(reply) == 67 else reply

    hal.answer = noisy
    with IssuingLine(tmp_path / "data", [module]) as line:
        assert refused(line.ask(request(module, 1))) == rejections.QUOTA_USED_UP
        assert not line.records(1)
    module.close()
