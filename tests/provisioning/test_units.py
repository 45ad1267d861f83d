"""The unit's own name on its way into certificate and chip: written, read back, resumed, and refused in time."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509

from atcaprov import (
    AtcaProvError,
    Board,
    Code,
    DataZoneWriter,
    DeliveredPart,
    Device,
    Profile,
    Provisioned,
    Provisioner,
    Stage,
    StageStatus,
    verify_chain,
)
from atcaprov.device.command_guard import Act, act_of
from atcaprov.provisioning.plan import make_plan
from atcaprov.wire.messages import CertificatesRequest, ErrorReply, SignerRequest
from tests.certs.test_unit_names import DEV_EUI, MAC, SERIAL, described
from tests.support import atcacert
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.power_cuts import PowerCut, cutting
from tests.support.scripted_hal import ScriptedHal
from tests.support.stock_cryptoauthlib import driven

NAME = "SN-00000017"


class PlainFunctions(InMemory):
    """Functions of a product that writes no data of its own."""

    @property
    def writes_data_zone(self) -> bool:
        return False


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa(description=described(SERIAL))


@pytest.fixture(scope="module")
def address_authority() -> MemoryCa:
    return MemoryCa(description=described(DEV_EUI))


def functions_for(authority: MemoryCa, unit: str, kind: type[InMemory] = InMemory) -> InMemory:
    functions = kind(authority)
    functions.unit = unit
    return functions


def run(hal: ScriptedHal, functions: InMemory, profile: Profile | None = None) -> Provisioned:
    with Device(hal) as device:
        serial_number = device.serial_number()
        return Provisioner(profile or Profile(), functions.authority.cert_info, functions).provision(
            device, serial_number
        )


def refused(hal: ScriptedHal, functions: InMemory, profile: Profile | None = None) -> AtcaProvError:
    """Return the error of a run that must not have changed the chip, nor begun a stage."""
    before = hal.memory.image()
    hal.packets.clear()
    with pytest.raises(AtcaProvError) as caught:
        run(hal, functions, profile)
    assert caught.value.stage is None
    assert [packet for packet in hal.packets if act_of(packet)] == []
    assert hal.memory.image() == before
    return caught.value


def common_name(certificate: bytes) -> str:
    names = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value)


def test_name_is_in_certificate_and_slot(authority: MemoryCa) -> None:
    functions, hal = functions_for(authority, NAME), ScriptedHal()
    result = run(hal, functions)
    assert common_name(result.device_certificate) == f"Example ATECC608A Device {NAME}"
    assert hal.memory.read_slot(8, 0, 32) == NAME.encode().ljust(32, b"\0")
    verify_chain(result.device_certificate, result.signer_certificate, authority.root_public_key)
    assert functions.units_asked == [result.serial_number]
    assert {request.unit for request in functions.requests} == {NAME}  # type: ignore[union-attr]
    assert len(functions.requests) == 2, "one question before stage 1, one for the certificate"


@pytest.mark.slow
def test_library_rebuilds_what_the_run_left_on_the_chip(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    result = run(hal, functions_for(authority, NAME))
    with driven(hal.chip.chip) as wheel:  # type: ignore[attr-defined]
        definition = atcacert.c_definition(authority.device_definition)
        assert atcacert.read_certificate(wheel, definition, authority.signer_public_key) == result.device_certificate


def test_name_is_written_after_the_certificates_and_before_the_lock(authority: MemoryCa) -> None:
    functions, hal = functions_for(authority, NAME), ScriptedHal()
    stages: dict[Stage, bytes] = {}
    functions.notify = lambda stage, status: (  # type: ignore[method-assign]
        stages.update({stage: hal.memory.read_slot(8, 0, 11)}) if status is StageStatus.DONE else None
    )
    run(hal, functions)
    assert stages[Stage.CERTS_WRITE] == b"\xff" * 11
    assert stages[Stage.DATA_WRITE] == NAME.encode()


@pytest.mark.parametrize("typed", ["00-04-a3-0b-00-1c-05-30", "0004A30B001C0530"])
def test_address_is_stored_as_bytes_in_otp_in_whatever_form_it_is_typed(
    address_authority: MemoryCa, typed: str
) -> None:
    functions, hal = functions_for(address_authority, typed), ScriptedHal()
    result = run(hal, functions)
    assert common_name(result.device_certificate).endswith(" 0004a30b001c0530")
    assert bytes(hal.memory.otp) == b"\xff" * 32 + bytes.fromhex("0004A30B001C0530") + bytes(24)
    asked = [request.unit for request in functions.requests if isinstance(request, SignerRequest)]
    assert asked == [typed, "0004a30b001c0530"], "the server judges the name as the certificate has it"


def test_proof_of_possession_covers_the_name(address_authority: MemoryCa, authority: MemoryCa) -> None:
    """The digest is built here from the bytes of docs/reference/wire-protocol.md; OTP stands for slot 255."""
    for ca, unit, place, name in (
        (authority, NAME, (8, 0), NAME.encode()),
        (address_authority, "0004a30b001c0530", (255, 32), bytes.fromhex("0004A30B001C0530")),
    ):
        ca.gives_challenges = True
        functions, hal = functions_for(ca, unit), ScriptedHal()
        reports: list[Any] = []
        functions.report = reports.append  # type: ignore[method-assign,assignment]
        run(hal, functions)
        ca.gives_challenges = False
        memory = hal.memory
        parts = [(slot, 0, memory.read_slot(slot, 0, 72)) for slot in (10, 11, 12)] + [(*place, name)]
        content = b"".join(struct.pack(">BHH", *part[:2], len(part[2])) + part[2] for part in sorted(parts))
        assert reports[0].request.contents_sha256 == hashlib.sha256(content).digest()


def test_library_asks_once_and_again_when_the_chip_is_known(authority: MemoryCa) -> None:
    functions, hal = functions_for(authority, NAME), ScriptedHal()
    with Device(hal) as device:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    questions = [(each.chip_serial, each.unit) for each in functions.requests if isinstance(each, SignerRequest)]
    assert questions == [(b"", ""), (functions.units_asked[0], NAME)]


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("", Code.UNIT_MISSING),
        ("SN-0000017", Code.UNIT_INVALID),
        ("SN-000000017", Code.UNIT_INVALID),
        ("SN-0000001\n", Code.UNIT_INVALID),
        ("SM-00000017", Code.UNIT_INVALID),
    ],
)
def test_wrong_name_stops_before_stage_1(authority: MemoryCa, unit: str, code: Code) -> None:
    functions = functions_for(authority, unit)
    functions.authority = authority
    functions.tamper = lambda reply: reply
    hal = ScriptedHal()
    with Device(hal) as device, pytest.raises(AtcaProvError) as caught:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert (caught.value.code, caught.value.board, caught.value.stage) == (code, Board.UNTOUCHED, None)
    assert str(caught.value).isprintable()
    assert [packet for packet in hal.packets if act_of(packet)] == []


def test_name_that_no_certificate_holds_is_refused() -> None:
    error = refused(ScriptedHal(), functions_for(MemoryCa(), NAME))
    assert (error.code, error.board) == (Code.UNIT_UNEXPECTED, Board.UNTOUCHED)


def test_server_that_knows_the_name_of_another_chip_is_heard_before_stage_1(authority: MemoryCa) -> None:
    functions = functions_for(authority, NAME)

    def taken(reply: Any) -> Any:
        asked = functions.requests[-1]
        is_with_name = isinstance(asked, SignerRequest) and asked.unit
        return ErrorReply(Code.UNIT_TAKEN.value, "It belongs to another chip.", False) if is_with_name else reply

    functions.tamper = taken
    error = refused(ScriptedHal(), functions)
    assert (error.code, error.board) == (Code.UNIT_TAKEN, Board.UNTOUCHED)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit_slots": frozenset({9})}, "does not reserve that slot"),
        ({"unit_slots": frozenset()}, "does not reserve that slot"),
        ({"certificate_slots": frozenset({8, 10, 11, 12})}, "does not reserve that slot"),
    ],
)
def test_place_that_the_product_does_not_list_is_refused(
    authority: MemoryCa, changes: dict[str, Any], message: str
) -> None:
    error = refused(ScriptedHal(), functions_for(authority, NAME), Profile(**changes))
    assert error.code == Code.SLOT_NOT_ALLOWED
    assert message in error.what


def test_slot_that_is_not_read_in_clear_is_refused() -> None:
    secret = MemoryCa(description=described(SERIAL.replace("slot = 8", "slot = 9")))
    error = refused(ScriptedHal(), functions_for(secret, NAME), Profile(unit_slots=frozenset({9})))
    assert error.code == Code.SLOT_NOT_ALLOWED
    assert "cannot be read by everybody" in error.what


@pytest.mark.parametrize(
    ("offset", "size", "is_refused"), [(0, 4, True), (0, 33, True), (32, 40, False), (384, 32, False)]
)
def test_own_data_do_not_overwrite_the_name(authority: MemoryCa, offset: int, size: int, is_refused: bool) -> None:
    functions, hal = functions_for(authority, NAME), ScriptedHal()

    def write(writer: DataZoneWriter) -> None:
        writer.write(8, offset, b"D" * size)

    functions.write = write
    if is_refused:
        with pytest.raises(AtcaProvError) as caught:
            run(hal, functions)
        assert caught.value.code == Code.SLOT_NOT_ALLOWED
        return
    run(hal, functions)
    assert hal.memory.read_slot(8, 0, 11) == NAME.encode()
    assert hal.memory.read_slot(8, offset, size) == b"D" * size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "reply_lost"),
    [(InMemory, True), (PlainFunctions, False)],
    ids=["own data, after the command", "before the command"],
)
def test_run_that_is_cut_at_any_command_ends_with_the_same_name(
    authority: MemoryCa, kind: type[InMemory], reply_lost: bool
) -> None:
    whole = ScriptedHal()
    run(whole, functions_for(authority, NAME, kind))
    first = next(at for at, packet in enumerate(whole.packets) if act_of(packet) is Act.CREATE_KEY)
    last = next(at for at, packet in enumerate(whole.packets) if act_of(packet) is Act.LOCK_DATA)
    for cut in range(first, last + 1, 3):
        hal = ScriptedHal()
        hal.answer = cutting(hal, cut, reply_lost)
        with pytest.raises(PowerCut):
            run(hal, functions_for(authority, NAME, kind))
        hal.answer = None
        hal.chip.wake()
        hal.chip.sleep()
        result = run(hal, functions_for(authority, NAME, kind))
        assert common_name(result.device_certificate).endswith(NAME), cut
        assert hal.memory.read_slot(8, 0, 11) == NAME.encode()


def test_finished_chip_with_another_name_is_set_aside_unchanged(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    run(hal, functions_for(authority, NAME))
    error = refused(hal, functions_for(authority, "SN-00000018"), Profile(slots_to_lock=(8,)))
    assert (error.code, error.board) == (Code.CHIP_HAS_OTHER_UNIT, Board.SET_ASIDE)
    assert NAME in error.what
    assert run(hal, functions_for(authority, NAME)).was_done_before


def test_unknown_data_where_the_name_goes_is_not_overwritten(authority: MemoryCa) -> None:
    """A name of another kind of run in the open slot: the chip tells by a MAC that it holds something else."""
    hal = ScriptedHal()
    hal.answer = cutting(hal, 10_000, reply_lost=False)
    functions = functions_for(authority, NAME, PlainFunctions)
    stop = functions.notify

    def cut_before_lock(stage: Stage, status: StageStatus) -> None:
        stop(stage, status)
        if stage is Stage.DATA_LOCK:
            raise PowerCut("cut")

    functions.notify = cut_before_lock  # type: ignore[method-assign]
    with pytest.raises(PowerCut):
        run(hal, functions)
    hal.answer = None
    hal.memory.write_slot(8, 0, b"SN-00000018".ljust(32, b"\0"))
    error = refused(hal, functions_for(authority, NAME, PlainFunctions))
    assert (error.code, error.board) == (Code.DATA_UNKNOWN, Board.SET_ASIDE)
    assert "slot 8" in error.what
    assert run(hal, functions_for(authority, NAME, PlainFunctions), Profile(fill_unwritten=True))
    assert hal.memory.read_slot(8, 0, 11) == NAME.encode()


def test_plan_shows_the_write_of_the_name(authority: MemoryCa) -> None:
    with Device.open("emulator:") as device:
        plan = make_plan(device, Profile(), authority.cert_info, functions_for(authority, NAME, PlainFunctions))
    assert plan.error is None
    (stage,) = [each for each in plan.stages if each.stage is Stage.DATA_WRITE]
    assert [(write.slot, write.offset, write.data) for write in stage.writes] == [
        (8, 0, NAME.encode().ljust(32, b"\0"))
    ]
    with Device.open("emulator:") as device:
        plan = make_plan(device, Profile(), authority.cert_info, functions_for(authority, "", PlainFunctions))
    assert plan.error is not None
    assert plan.error.code == Code.UNIT_MISSING


PART = Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True, slots_to_lock=(8, 10, 11, 12))


@pytest.mark.slow
def test_trust_flex_part_gets_its_name(authority: MemoryCa) -> None:
    hal = ScriptedHal("emulator:?image=tflxtls")
    result = run(hal, functions_for(authority, NAME, PlainFunctions), PART)
    assert common_name(result.device_certificate).endswith(NAME)
    assert hal.memory.read_slot(8, 0, 11) == NAME.encode()
    assert run(hal, functions_for(authority, NAME, PlainFunctions), PART).was_done_before
    error = refused(hal, functions_for(authority, "SN-00000018", PlainFunctions), PART)
    assert error.code == Code.CHIP_HAS_OTHER_UNIT


@pytest.mark.slow
def test_empty_slot_of_a_trust_flex_part_holds_no_address() -> None:
    """The bytes FF of a slot that was never written could be an address."""
    hal = ScriptedHal("emulator:?image=tflxtls")
    hal.memory.write_slot(8, 0, b"\xff" * 64)
    addressed = MemoryCa(description=described(MAC))
    run(hal, functions_for(addressed, "00:04:A3:01:02:FF", PlainFunctions), PART)
    assert hal.memory.read_slot(8, 32, 6) == bytes.fromhex("0004A30102FF")


@pytest.mark.slow
def test_trust_flex_part_that_cannot_take_the_name_is_set_aside(
    authority: MemoryCa, address_authority: MemoryCa
) -> None:
    functions = functions_for(address_authority, "0004a30b001c0530")
    error = refused(ScriptedHal("emulator:?image=tflxtls"), functions, replace(PART, slots_to_lock=()))
    assert error.code == Code.SLOT_NOT_ALLOWED
    hal = ScriptedHal("emulator:?image=tflxtls")
    hal.memory.write_slot(8, 0, bytes(range(32)))
    error = refused(hal, functions_for(authority, NAME), PART)
    assert (error.code, error.board) == (Code.DATA_UNKNOWN, Board.SET_ASIDE)
    assert run(hal, functions_for(authority, NAME), replace(PART, replace_foreign_certificates=True))
    hal = ScriptedHal("emulator:?image=tflxtls")
    hal.memory.config[88:90] = (0xFFFF & ~(1 << 8)).to_bytes(2, "little")
    assert refused(hal, functions_for(authority, NAME), PART).code == Code.SLOT_LOCKED


def test_certificate_request_of_a_resumed_run_has_the_name(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    run(hal, functions_for(authority, NAME))
    functions = functions_for(authority, NAME)
    run(hal, functions)
    (asked,) = [each for each in functions.requests if isinstance(each, CertificatesRequest)]
    assert (asked.existing_only, asked.unit) == (True, NAME)
