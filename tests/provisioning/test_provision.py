"""The ten stages on a software chip, honest server: whole, cut anywhere, repeated."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import (
    AtcaProvError,
    Board,
    CertificateError,
    Code,
    Device,
    DeviceError,
    Profile,
    Provisioner,
    ProvisioningError,
    ServerRejected,
    Stage,
    StageStatus,
    TransportError,
    UsageError,
    verify_chain,
)
from atcaprov.chip.commands import GEN_KEY_CREATE, Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.inspection.key_proof import prove_key
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerRequest
from tests.support.in_memory_server import InMemory, MemoryCa, unreachable
from tests.support.scripted_hal import ScriptedHal

DONE, SKIPPED, START, ERROR = StageStatus.DONE, StageStatus.SKIPPED, StageStatus.START, StageStatus.ERROR


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


def _provisioner(functions: InMemory, profile: Profile | None = None) -> Provisioner:
    return Provisioner(profile or Profile(), functions.authority.cert_info, functions)


def _ends(functions: InMemory) -> dict[Stage, StageStatus]:
    return dict(functions.notices)


def test_a_blank_chip_becomes_a_product(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    hal = ScriptedHal()
    with Device(hal) as device:
        result = _provisioner(functions).provision(device)
        assert result.serial_number == device.serial_number()
        assert not result.was_done_before
        prove_key(device, 0, functions.requests[-1].public_key)  # type: ignore[union-attr]
        locks = device.read_config_word(21)
    assert (locks[LOCK_VALUE - 84], locks[LOCK_CONFIG - 84]) == (0, 0)
    verify_chain(result.device_certificate, result.signer_certificate, authority.root_public_key)


def test_every_stage_is_reported_in_order(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    with Device.open("emulator:") as device:
        _provisioner(functions).provision(device)
    expected: list[tuple[Stage, StageStatus]] = []
    for stage in Stage:
        expected += [(stage, SKIPPED)] if stage is Stage.SLOTS_LOCK else [(stage, START), (stage, DONE)]
    assert functions.notices == expected


@pytest.mark.slow
def test_the_server_is_asked_before_each_chip_is_touched(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    provisioner = _provisioner(functions)
    for _ in range(2):
        with Device.open("emulator:") as device:
            provisioner.provision(device)
    assert [type(request) for request in functions.requests] == [
        SignerRequest,
        CertificatesRequest,
        SignerRequest,
        CertificatesRequest,
    ]
    assert functions.exchanges_done == 4


@pytest.mark.parametrize("answer", ["nothing", "refusal", "another root"])
def test_server_error_between_two_chips_leaves_the_second_untouched(authority: MemoryCa, answer: str) -> None:
    functions = InMemory(authority)
    provisioner = _provisioner(functions)
    with Device.open("emulator:") as device:
        provisioner.provision(device)
    other_root = MemoryCa()
    other_root.signer_key = authority.signer_key
    stranger = other_root.answer(SignerRequest(authority.signer_public_key))
    if answer == "nothing":
        functions.raw = unreachable
    elif answer == "refusal":
        functions.tamper = lambda reply: ErrorReply(Code.SIGNER_UNPLUGGED.value, "It was unplugged.", True)
    else:
        functions.tamper = lambda reply: stranger
    functions.notices.clear()
    hal = ScriptedHal()
    with Device(hal) as device, pytest.raises(AtcaProvError) as refused:
        provisioner.provision(device)
    assert refused.value.board == Board.UNTOUCHED
    assert (hal.packets, functions.notices) == ([], [])


def test_replies_may_come_byte_by_byte(authority: MemoryCa) -> None:
    with Device.open("emulator:") as device:
        _provisioner(InMemory(authority, receive_at_once=1)).provision(device)


def test_irreversible_commands_are_sent_once_each_and_in_order(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        _provisioner(InMemory(authority), Profile(slots_to_lock=(0, 13))).provision(device)
    marks = [_mark(packet) for packet in hal.packets]
    assert [mark for mark in marks if mark] == ["lock 00", "create key", "lock 01", "lock 02", "lock 36"]


def _mark(packet: bytes) -> str:
    if packet[1] == Opcode.LOCK:
        return f"lock {packet[2]:02X}"
    return "create key" if packet[1] == Opcode.GEN_KEY and packet[2] & GEN_KEY_CREATE else ""


def test_own_data_are_written_before_the_lock(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    functions.write = lambda writer: writer.write(8, 32, b"made for " + writer.serial_number)
    with Device.open("emulator:") as device:
        serial = _provisioner(functions).provision(device).serial_number
        assert device.read_slot(8, 32, 18) == b"made for " + serial


def test_exception_of_a_user_function_passes_through(authority: MemoryCa) -> None:
    functions = InMemory(authority)

    def fail(_: object) -> None:
        raise ZeroDivisionError("mine")

    functions.write = fail
    with Device.open("emulator:") as device:
        with pytest.raises(ZeroDivisionError, match="mine"):
            _provisioner(functions).provision(device)
        assert functions.notices[-2:] == [(Stage.DATA_WRITE, START), (Stage.DATA_WRITE, ERROR)]
        assert device.read_config_word(21)[2] == 0x55
        functions.write = lambda _: None
        assert _provisioner(functions).provision(device).serial_number == device.serial_number()


def test_integrator_error_sets_the_changed_board_aside(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    functions.write = lambda writer: writer.write(8, 1, b"at no multiple of 32")
    with Device.open("emulator:") as device, pytest.raises(UsageError) as refused:
        _provisioner(functions).provision(device)
    assert refused.value.board == Board.SET_ASIDE


def test_error_names_the_chip_and_its_stage(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    functions.write = lambda writer: writer.write(8, 1, b"at no multiple of 32")
    with Device.open("emulator:") as device:
        with pytest.raises(UsageError) as refused:
            _provisioner(functions).provision(device)
        assert refused.value.serial_number == device.serial_number()
    assert refused.value.stage is Stage.DATA_WRITE


def test_error_before_the_first_stage_names_the_chip_alone(authority: MemoryCa) -> None:
    with Device.open("emulator:?image=tngtls") as device:
        with pytest.raises(ProvisioningError) as refused:
            _provisioner(InMemory(authority)).provision(device)
        assert refused.value.serial_number == device.serial_number()
    assert refused.value.stage is None


def test_error_before_a_chip_is_read_names_nothing(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    functions.raw = unreachable
    with Device.open("emulator:") as device, pytest.raises(TransportError) as failed:
        _provisioner(functions).provision(device)
    assert (failed.value.serial_number, failed.value.stage) == (None, None)


def test_result_has_the_certificates_parsed(authority: MemoryCa) -> None:
    with Device.open("emulator:") as device:
        result = _provisioner(InMemory(authority)).provision(device)
    assert result.device_x509.public_bytes(Encoding.DER) == result.device_certificate
    assert result.device_x509.issuer == result.signer_x509.subject
    assert result.signer_x509.issuer == result.root_x509.subject


@pytest.mark.parametrize("validate", [True, False])
def test_validation_may_be_left_out(authority: MemoryCa, validate: bool) -> None:
    functions = InMemory(authority)
    with Device.open("emulator:") as device:
        _provisioner(functions, Profile(validate=validate)).provision(device)
    assert _ends(functions)[Stage.VALIDATE_CERTS] is (DONE if validate else SKIPPED)


def test_good_board_is_confirmed_unchanged(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        first = _provisioner(InMemory(authority)).provision(device)
        hal.packets.clear()
        functions = InMemory(authority)
        again = _provisioner(functions, Profile(validate=False)).provision(device)
    assert again.was_done_before
    assert again.device_certificate == first.device_certificate
    assert {stage for stage, status in functions.notices if status is DONE} == {
        Stage.CONFIG_READ,
        Stage.VALIDATE_CERTS,
    }
    opcodes = {packet[1] for packet in hal.packets}
    assert opcodes == {Opcode.INFO, Opcode.READ, Opcode.GEN_KEY, Opcode.NONCE, Opcode.SIGN}
    assert not any(_mark(packet) for packet in hal.packets)


@pytest.mark.parametrize(
    ("opcode", "slot", "code"),
    [
        (Opcode.READ, 10, Code.CERTIFICATE_MISMATCH),
        (Opcode.READ, 11, Code.CERTIFICATE_MISMATCH),
        (Opcode.READ, 12, Code.CERTIFICATE_MISMATCH),
        (Opcode.SIGN, 0, Code.KEY_MISMATCH),
    ],
    ids=["device certificate", "signer key", "signer certificate", "key"],
)
def test_a_chip_that_does_not_prove_itself_is_scrap(authority: MemoryCa, opcode: Opcode, slot: int, code: Code) -> None:
    hal = ScriptedHal()

    def damaged(packet: bytes) -> bytes:
        reply = hal.chip.exchange(packet)
        if packet[1] == opcode and (opcode == Opcode.SIGN or packet[2:5] == bytes((0x82, slot << 3, 0))):
            return with_crc(reply[:9] + bytes((reply[9] ^ 1,)) + reply[10:-2])
        return reply

    hal.answer = damaged
    functions = InMemory(authority)
    with Device(hal) as device, pytest.raises(CertificateError) as refused:
        _provisioner(functions).provision(device)
    assert (refused.value.code, refused.value.board) == (code, Board.SCRAP)
    assert functions.notices[-1] == (Stage.VALIDATE_CERTS, ERROR)


class _Cut(Exception):  # noqa: N818
    """The power went."""


def _commands_of_a_run(authority: MemoryCa, profile: Profile) -> int:
    hal = ScriptedHal()
    with Device(hal) as device:
        _provisioner(InMemory(authority), profile).provision(device)
    return len(hal.packets)


@pytest.mark.slow
@pytest.mark.parametrize("reply_lost", [False, True], ids=["before the command", "after the command"])
def test_cut_at_any_command_the_next_run_finishes(authority: MemoryCa, reply_lost: bool) -> None:
    profile = Profile(slots_to_lock=(13,))
    count = _commands_of_a_run(authority, profile)
    assert count > 30
    for cut in range(count):
        hal = ScriptedHal()
        hal.answer = _cutting(hal, cut, reply_lost)
        with Device(hal) as device, pytest.raises(_Cut):
            _provisioner(InMemory(authority), profile).provision(device)
        hal.answer = None
        _finish_after_power_loss(hal, authority, profile)


def _cutting(hal: ScriptedHal, cut: int, reply_lost: bool) -> Callable[[bytes], bytes]:
    def answer(packet: bytes) -> bytes:
        if len(hal.packets) <= cut:
            return hal.chip.exchange(packet)
        if reply_lost and len(hal.packets) == cut + 1:
            hal.chip.exchange(packet)
        raise _Cut

    return answer


def _finish_after_power_loss(hal: ScriptedHal, authority: MemoryCa, profile: Profile) -> None:
    hal.chip.wake()
    hal.chip.sleep()
    hal.packets.clear()
    with Device(hal) as device:
        result = _provisioner(InMemory(authority), profile).provision(device)
        verify_chain(result.device_certificate, result.signer_certificate, authority.root_public_key)
        public_key = device.get_pubkey(0)
        prove_key(device, 0, public_key)
        assert authority.issued[(result.serial_number, public_key)].device_certificate == result.device_certificate
        assert device.read_config()[16:52] == DEFAULT_608A[16:52]


def test_a_key_of_unknown_origin_is_not_certified(authority: MemoryCa) -> None:
    """Another party configured the chip beforehand and put a key in it that it may know."""
    functions = InMemory(authority)
    hal = ScriptedHal()
    profile = Profile()
    with Device(hal) as device:
        hal.answer = _stopping_at_request(hal, functions)
        with pytest.raises(TransportError):
            _provisioner(functions, profile).provision(device)
        hal.answer = None
        functions.raw = lambda data: data
        planted = device.get_pubkey(0)
        _provisioner(functions, profile).provision(device)
        assert device.get_pubkey(0) != planted
    assert not any(key == planted for _, key in authority.issued)


def _stopping_at_request(hal: ScriptedHal, functions: InMemory) -> Callable[[bytes], bytes]:
    """Let the server be gone once the chip has made its key."""

    def answer(packet: bytes) -> bytes:
        reply = hal.chip.exchange(packet)
        if _mark(packet) == "create key":
            functions.certreq_start = _gone  # type: ignore[method-assign]
        return reply

    def _gone() -> None:
        del functions.certreq_start
        raise TransportError("gone", code=Code.SERVER_UNREACHABLE)

    return answer


def test_chip_that_refuses_its_public_key_keeps_its_key(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        with pytest.raises(TransportError):
            _provisioner(_unfinished(authority)).provision(device)
        key = device.get_pubkey(0)
        parse_error = with_crc(b"\x04\x03")
        hal.answer = lambda packet: parse_error if _asks_for_key(packet) else hal.chip.exchange(packet)
        with pytest.raises(DeviceError) as refused:
            _provisioner(InMemory(authority)).provision(device)
        assert refused.value.status == Status.PARSE_ERROR
        hal.answer = None
        assert device.get_pubkey(0) == key


def _unfinished(authority: MemoryCa) -> InMemory:
    """User functions whose run ends after the certificates were written, before the data lock."""
    functions = InMemory(authority)
    functions.write = unreachable  # type: ignore[assignment]
    return functions


def _asks_for_key(packet: bytes) -> bool:
    return packet[1] == Opcode.GEN_KEY and not packet[2] & GEN_KEY_CREATE


def test_a_board_that_is_exchanged_after_the_first_lock_keeps_its_key(authority: MemoryCa) -> None:
    first, second = ScriptedHal(), ScriptedHal()
    with Device(second) as device:
        with pytest.raises(TransportError):
            _provisioner(_unfinished(authority)).provision(device)
        key = device.get_pubkey(0)

    def exchange(packet: bytes) -> bytes:
        reply = first.chip.exchange(packet)
        if _mark(packet) == "lock 00":
            first.chip = second.chip
            first.chip.wake()
        return reply

    first.answer = exchange
    functions = InMemory(authority)
    with Device(first) as device:
        with pytest.raises(ProvisioningError, match="exchanged"):
            _provisioner(functions).provision(device)
        assert device.get_pubkey(0) == key
    assert functions.notices[-1] == (Stage.CONFIG_READ, ERROR)


def test_false_lock_confirmation_is_noticed(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    hal.answer = lambda packet: with_crc(b"\x04\x00") if _mark(packet) == "lock 00" else hal.chip.exchange(packet)
    with Device(hal) as device, pytest.raises(ProvisioningError, match="not locked although"):
        _provisioner(InMemory(authority)).provision(device)
    assert [mark for packet in hal.packets if (mark := _mark(packet))] == ["lock 00"]


def test_locked_zone_is_read_again(authority: MemoryCa) -> None:
    hal = ScriptedHal()

    def damaging(packet: bytes) -> bytes:
        reply = hal.chip.exchange(packet)
        if _mark(packet) == "lock 00":
            hal.chip.chip.memory.config[20] ^= 1  # type: ignore[attr-defined]
        return reply

    hal.answer = damaging
    with Device(hal) as device, pytest.raises(ProvisioningError, match="SlotConfig is 0084, not 0085") as refused:
        _provisioner(InMemory(authority)).provision(device)
    assert refused.value.board == Board.SCRAP
    assert [mark for packet in hal.packets if (mark := _mark(packet))] == ["lock 00"]


def test_a_chip_locked_with_another_configuration(authority: MemoryCa) -> None:
    other = bytearray(DEFAULT_608A)
    other[20 + 2 * 8] = 0x8F  # slot 8 secret
    with Device.open("emulator:") as device:
        _provisioner(InMemory(authority), Profile(config_zone=bytes(other), validate=False)).provision(device)
        functions = InMemory(authority)
        with pytest.raises(ProvisioningError) as refused:
            _provisioner(functions).provision(device)
    assert (refused.value.code, refused.value.board) == (Code.CONFIG_LOCKED_OTHER, Board.SET_ASIDE)
    assert functions.notices == []
    assert [type(request) for request in functions.requests] == [SignerRequest]


def test_server_without_records_does_not_cost_a_key(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    refusal = ErrorReply(Code.RECORDS_FAILED.value, "The disk is full.", False)
    functions.tamper = lambda reply: refusal if isinstance(reply, CertificatesReply) else reply
    with Device.open("emulator:") as device:
        with pytest.raises(ServerRejected):
            _provisioner(functions).provision(device)
        key = device.get_pubkey(0)
        with pytest.raises(ServerRejected) as refused:
            _provisioner(functions).provision(device)
        assert refused.value.code == Code.RECORDS_FAILED
        assert device.get_pubkey(0) == key


@pytest.mark.slow
def test_a_finished_chip_that_the_server_does_not_know(authority: MemoryCa) -> None:
    with Device.open("emulator:") as device:
        _provisioner(InMemory(authority)).provision(device)
        with pytest.raises(ProvisioningError) as refused:
            _provisioner(InMemory(MemoryCa())).provision(device)
    assert (refused.value.code, refused.value.board) == (Code.DATA_LOCKED_OTHER, Board.SCRAP)


@pytest.mark.slow
def test_chip_that_refuses_the_data_crc_is_filled_and_locked(authority: MemoryCa) -> None:
    """Content of a fresh part that is not all FF: nothing is locked, the rest is written, the lock is asked again."""
    functions = InMemory(authority)
    hal = ScriptedHal()
    hal.answer = _with_foreign_content(hal)
    with Device(hal) as device:
        _provisioner(functions).provision(device)
    assert [mark for packet in hal.packets if (mark := _mark(packet))] == [
        "lock 00",
        "create key",
        "lock 01",
        "lock 01",
    ]


def test_a_data_lock_that_is_refused_for_another_reason_is_not_asked_again(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    parse_error = with_crc(b"\x04\x03")
    hal.answer = lambda packet: parse_error if _mark(packet) == "lock 01" else hal.chip.exchange(packet)
    functions = InMemory(authority)
    with Device(hal) as device, pytest.raises(DeviceError) as refused:
        _provisioner(functions).provision(device)
    assert refused.value.status == Status.PARSE_ERROR
    assert functions.notices[-1] == (Stage.DATA_LOCK, ERROR)
    assert _mark(hal.packets[-1]) == "lock 01"
    assert [_mark(packet) for packet in hal.packets].count("lock 01") == 1


def _with_foreign_content(hal: ScriptedHal) -> Callable[[bytes], bytes]:
    def answer(packet: bytes) -> bytes:
        reply = hal.chip.exchange(packet)
        if _mark(packet) == "lock 00":
            hal.chip.chip.memory.data[-5] = 0x00  # type: ignore[attr-defined]
        return reply

    return answer


def test_unlockable_slot_is_refused_before_any_chip(authority: MemoryCa) -> None:
    with pytest.raises(Exception, match="slot 10") as refused:
        Profile(slots_to_lock=(10,))
    assert getattr(refused.value, "code", None) == Code.CONFIG_ZONE_UNSAFE


def test_chip_refusal_is_reported_with_its_stage(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    hal = ScriptedHal()
    refuse = bytes.fromhex("040F2342")
    hal.answer = lambda packet: refuse if packet[1] == Opcode.GEN_KEY else hal.chip.exchange(packet)
    with Device(hal) as device, pytest.raises(DeviceError) as refused:
        _provisioner(functions).provision(device)
    assert refused.value.command == "GenKey"
    assert functions.notices[-1] == (Stage.GEN_KEY, ERROR)
