"""The ten stages on a TFLXTLS: whole, cut anywhere, repeated; and chips that are none, or cannot take it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import (
    AtcaProvError,
    Board,
    CertificateError,
    Code,
    DataZoneWriter,
    DeliveredPart,
    Device,
    Profile,
    Provisioned,
    Provisioner,
    ProvisioningError,
    ServerRejected,
    Stage,
    StageStatus,
    UsageError,
    verify_chain,
)
from atcaprov.chip.commands import GEN_KEY_CREATE, Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.chip.maker_tables import TFLXTLS_TABLE
from atcaprov.cli.main import atcaprov
from atcaprov.device.command_guard import Act, act_of
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.trust_chain import root_certificate
from atcaprov.inspection.key_proof import prove_key
from atcaprov.wire.messages import AnyMessage, CertificatesRequest, ErrorReply
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.power_cuts import PowerCut, cutting
from tests.support.programs import run_in_process
from tests.support.scripted_hal import ScriptedHal

pytestmark = pytest.mark.slow

DONE, SKIPPED = StageStatus.DONE, StageStatus.SKIPPED
IMAGES = ["tflxtls", "tflxtls-608a", "tflxtls-608c"]
CERTIFICATE_SLOTS = (10, 11, 12)
PROFILE = Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True, slots_to_lock=CERTIFICATE_SLOTS)


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.fixture(scope="module")
def authority_of_slot_2() -> MemoryCa:
    """A signer whose device description says private_key = 2."""
    return MemoryCa(private_key=2)


def part(image: str = "tflxtls") -> ScriptedHal:
    return ScriptedHal(f"emulator:?image={image}")


def without_certificates() -> ScriptedHal:
    hal = part()
    for slot in CERTIFICATE_SLOTS:
        hal.memory.write_slot(slot, 0, b"\xff" * 72)
    return hal


def run(hal: ScriptedHal, authority: MemoryCa, profile: Profile = PROFILE) -> tuple[Provisioned, InMemory]:
    functions = InMemory(authority)
    with Device(hal) as device:
        return Provisioner(profile, authority.cert_info, functions).provision(device), functions


def refused(hal: ScriptedHal, authority: MemoryCa, profile: Profile = PROFILE) -> AtcaProvError:
    """Return the error of a run that must not have changed anything, nor begun a stage."""
    before = hal.memory.image()
    hal.packets.clear()
    with pytest.raises(AtcaProvError) as error:
        run(hal, authority, profile)
    assert error.value.stage is None
    assert not acts(hal)
    assert hal.memory.image() == before
    return error.value


def key_of(hal: ScriptedHal) -> bytes:
    hal.answer = None
    with Device(hal) as device:
        return device.get_pubkey(0)


def acts(hal: ScriptedHal) -> list[Act]:
    return [act for packet in hal.packets if (act := act_of(packet)) is not None]


def ends(functions: InMemory) -> dict[Stage, StageStatus]:
    return dict(functions.notices)


@pytest.mark.parametrize("image", IMAGES)
def test_the_makers_key_gets_certificates_of_the_customer(authority: MemoryCa, image: str) -> None:
    hal = part(image)
    config, otp = bytes(hal.memory.config), bytes(hal.memory.otp)
    with Device(hal) as device:
        key = device.get_pubkey(0)
    result, functions = run(hal, authority)
    assert [stage for stage, status in ends(functions).items() if status is SKIPPED] == [
        Stage.CONFIG_WRITE,
        Stage.CONFIG_LOCK,
        Stage.DATA_LOCK,
    ]
    assert not result.was_done_before
    verify_chain(result.device_certificate, result.signer_certificate, authority.root_public_key, device_public_key=key)
    with Device(hal) as device:
        prove_key(device, 0, key)
        assert device.read_slot(10, 0, 72) == authority.issued[result.serial_number, key].device_compressed
    locked = bytes(hal.memory.config)
    assert locked[:88] + locked[90:] == config[:88] + config[90:]
    assert int.from_bytes(locked[88:90], "little") == 0xFFFF & ~(1 << 10 | 1 << 11 | 1 << 12)
    assert bytes(hal.memory.otp) == otp


def test_the_chip_is_changed_by_writes_and_slot_locks_only(authority: MemoryCa) -> None:
    hal = part()
    run(hal, authority)
    assert set(acts(hal)) == {Act.WRITE_DATA, Act.LOCK_SLOT}
    locks = [packet[2] >> 2 for packet in hal.packets if packet[1] == Opcode.LOCK]
    assert locks == list(CERTIFICATE_SLOTS)


def test_the_request_carries_the_makers_configuration(authority: MemoryCa) -> None:
    hal = part("tflxtls-608c")
    config = bytes(hal.memory.config)
    _, functions = run(hal, authority)
    request = functions.requests[-1]
    assert isinstance(request, CertificatesRequest)
    assert (request.config_zone, request.revision) == (config, 0x00006004)
    assert request.config_zone[12] == 0x01


@pytest.mark.parametrize("reply_lost", [False, True], ids=["before the command", "after the command"])
@pytest.mark.parametrize("key_slot", [0, 2])
def test_cut_at_any_command_the_next_run_finishes(key_slot: int, reply_lost: bool) -> None:
    authority = MemoryCa(private_key=key_slot)
    profile = Profile(
        part=DeliveredPart.TFLXTLS,
        device_key_slot=key_slot,
        replace_certificates=True,
        slots_to_lock=(*CERTIFICATE_SLOTS, *({2} if key_slot else ())),
        require_genuine=True,  # what the proof needs is overwritten in stage 6
        genuine_root=root_certificate().public_bytes(Encoding.DER),
    )
    whole = part()
    run(whole, authority, profile)
    changing = [number for number, packet in enumerate(whole.packets) if act_of(packet) is not None]
    assert len(changing) > 10
    for cut in changing if reply_lost else cuts_that_differ(changing, len(whole.packets)):
        hal = part()
        hal.answer = cutting(hal, cut, reply_lost)
        with pytest.raises(PowerCut):
            run(hal, authority, profile)
        hal.answer = None
        hal.chip.wake()
        hal.chip.sleep()
        keys_made = made_keys(hal)
        certified_before = [key for serial, key in authority.issued if serial == hal.memory.serial]
        result, _ = run(hal, authority, profile)
        with Device(hal) as device:
            key = device.get_pubkey(key_slot)
            prove_key(device, key_slot, key)
        assert certified_before in ([], [key])
        if certified_before:
            assert made_keys(hal) == keys_made
        certified = [each for serial, each in authority.issued if serial == hal.memory.serial]
        assert certified == [key]
        verify_chain(
            result.device_certificate, result.signer_certificate, authority.root_public_key, device_public_key=key
        )
        assert not any(int.from_bytes(hal.memory.config[88:90], "little") >> slot & 1 for slot in profile.slots_to_lock)


def cuts_that_differ(changing: list[int], count: int) -> list[int]:
    """Return where to cut a run: between two changes of the chip all cuts are one, but the server is asked after the
    first change, or just before it."""
    beside = {place for number in changing for place in (number, number + 1)}
    return sorted({0, *beside, *range(changing[0] - 3, changing[1]), count - 1})


def made_keys(hal: ScriptedHal) -> int:
    return sum(packet[1] == Opcode.GEN_KEY and bool(packet[2] & GEN_KEY_CREATE) for packet in hal.packets)


def test_a_cut_while_writing_empty_slots_needs_no_consent(authority: MemoryCa) -> None:
    profile = replace(PROFILE, replace_certificates=False)
    whole = without_certificates()
    run(whole, authority, profile)
    writes = [number for number, packet in enumerate(whole.packets) if packet[1] == Opcode.WRITE]
    for cut in writes:
        hal = without_certificates()
        hal.answer = cutting(hal, cut, reply_lost=True)
        with pytest.raises(PowerCut):
            run(hal, authority, profile)
        hal.answer = None
        hal.chip.wake()
        hal.chip.sleep()
        run(hal, authority, profile)


def test_a_finished_board_is_confirmed_unchanged(authority: MemoryCa) -> None:
    hal = part()
    first, _ = run(hal, authority)
    hal.packets.clear()
    again, functions = run(hal, authority, replace(PROFILE, validate=False, replace_certificates=False))
    assert again.was_done_before
    assert again.device_certificate == first.device_certificate
    assert not acts(hal)
    assert {stage for stage, status in ends(functions).items() if status is DONE} == {
        Stage.CONFIG_READ,
        Stage.DATA_WRITE,
        Stage.VALIDATE_CERTS,
    }


class TestKeySlots:
    PROFILE = replace(PROFILE, device_key_slot=2, slots_to_lock=(2, *CERTIFICATE_SLOTS))

    def test_a_key_is_made_once(self, authority_of_slot_2: MemoryCa) -> None:
        hal = part()
        with Device(hal) as device:
            before = [device.get_pubkey(slot) for slot in range(5)]
        result, _ = run(hal, authority_of_slot_2, self.PROFILE)
        assert made_keys(hal) == 1
        with Device(hal) as device:
            after = [device.get_pubkey(slot) for slot in range(5)]
            prove_key(device, 2, after[2])
        assert [slot for slot in range(5) if before[slot] != after[slot]] == [2]
        assert list(authority_of_slot_2.issued)[-1] == (result.serial_number, after[2])
        run(hal, authority_of_slot_2, self.PROFILE)
        assert made_keys(hal) == 1

    def test_the_signer_must_be_for_the_slot(self, authority: MemoryCa) -> None:
        error = refused(part(), authority, self.PROFILE)
        assert (error.code, error.board) == (Code.SLOT_NOT_ALLOWED, Board.UNTOUCHED)
        assert "private_key = 2" in error.advice

    def test_a_locked_slot_takes_no_key(self, authority_of_slot_2: MemoryCa) -> None:
        hal = part()
        lock_slot(hal, 2)
        error = refused(hal, authority_of_slot_2, self.PROFILE)
        assert (error.code, error.board) == (Code.SLOT_LOCKED, Board.SET_ASIDE)

    def test_a_permanent_key_is_not_replaced(self, authority_of_slot_2: MemoryCa) -> None:
        hal = part()
        hal.memory.config[25] = 0x00  # SlotConfig of slot 2 without GenKey
        hal.memory.config[100] = 0x53  # and not lockable
        assert refused(hal, authority_of_slot_2, self.PROFILE).code == Code.SLOT_LOCKED

    def test_a_key_that_another_server_certified_is_not_replaced(self, authority_of_slot_2: MemoryCa) -> None:
        hal = part()
        run(hal, authority_of_slot_2, self.PROFILE)
        authority_of_slot_2.issued.clear()
        error = refused(hal, authority_of_slot_2, self.PROFILE)
        assert (error.code, error.board) == (Code.FINISHED_ELSEWHERE, Board.SET_ASIDE)

    @pytest.mark.parametrize(("first", "second"), [(0, 2), (2, 0), (2, 3)])
    def test_certificates_of_another_server_for_the_key_of_another_slot_are_not_overwritten(
        self, first: int, second: int
    ) -> None:
        """In a line that replaces the maker's certificates, consent is always given."""
        one, other = MemoryCa(private_key=first), MemoryCa(private_key=second)
        other.root_key = one.root_key
        hal = part()
        run(hal, one, replace(self.PROFILE, device_key_slot=first, slots_to_lock=()))
        error = refused(hal, other, replace(self.PROFILE, device_key_slot=second, slots_to_lock=()))
        assert (error.code, error.board) == (Code.FINISHED_ELSEWHERE, Board.SET_ASIDE)

    @pytest.mark.parametrize("code", [Code.CHIP_HAS_OTHER_KEY, Code.CHIP_HAS_OTHER_SIGNER])
    def test_a_chip_that_was_certified_otherwise_keeps_its_key(self, authority_of_slot_2: MemoryCa, code: Code) -> None:
        functions = InMemory(authority_of_slot_2)
        functions.tamper = lambda reply: ErrorReply(code.value, "no", False) if isinstance(reply, ErrorReply) else reply
        hal = part()
        with Device(hal) as device, pytest.raises(ServerRejected) as error:
            Provisioner(self.PROFILE, authority_of_slot_2.cert_info, functions).provision(device)
        assert error.value.code == code
        assert not acts(hal)

    def test_one_late_answer_does_not_replace_a_key(self, authority_of_slot_2: MemoryCa) -> None:
        hal = part()
        run(hal, authority_of_slot_2, replace(self.PROFILE, slots_to_lock=()))
        functions, answers = InMemory(authority_of_slot_2), iter([ErrorReply(Code.NOT_ISSUED.value, "late", False)])
        functions.tamper = lambda reply: next(answers, reply) if hasattr(reply, "device_certificate") else reply
        with Device(hal) as device:
            Provisioner(self.PROFILE, authority_of_slot_2.cert_info, functions).provision(device)
        assert made_keys(hal) == 1


def lock_slot(hal: ScriptedHal, slot: int) -> None:
    hal.memory.config[88 + slot // 8] &= ~(1 << slot % 8)


class TestCertificatesOnThePart:
    CAREFUL = replace(PROFILE, replace_certificates=False)

    @pytest.mark.parametrize("image", IMAGES)
    def test_the_makers_certificates_are_not_overwritten_without_consent(self, authority: MemoryCa, image: str) -> None:
        error = refused(part(image), authority, self.CAREFUL)
        assert (error.code, error.board) == (Code.CERTIFICATES_PRESENT, Board.UNTOUCHED)
        assert "10, 11, 12" in error.what
        assert "--replace-certificates" in error.advice

    def test_a_part_without_certificates_needs_no_consent(self, authority: MemoryCa) -> None:
        result, _ = run(without_certificates(), authority, self.CAREFUL)
        assert x509.load_der_x509_certificate(result.device_certificate)

    @pytest.mark.parametrize("slot", CERTIFICATE_SLOTS)
    def test_one_byte_of_others_needs_a_consent_of_its_own(self, authority: MemoryCa, slot: int) -> None:
        hal = without_certificates()
        hal.memory.write_slot(slot, 70, b"\x01")
        for consent in (False, True):
            error = refused(hal, authority, replace(PROFILE, replace_certificates=consent))
            assert (error.code, error.board) == (Code.CERTIFICATES_PRESENT, Board.SET_ASIDE)
            assert f"data in slot {slot} " in error.what
        run(hal, authority, replace(self.CAREFUL, replace_foreign_certificates=True))

    def test_a_unit_of_another_product_keeps_its_identity(self, authority: MemoryCa) -> None:
        """Its slots are not locked, so that nothing but this check protects it."""
        hal = part()
        other = MemoryCa()
        run(hal, other, replace(PROFILE, slots_to_lock=()))
        error = refused(hal, authority)
        assert (error.code, error.board) == (Code.CERTIFICATES_PRESENT, Board.SET_ASIDE)
        assert "another product" in error.what

    def test_certificates_that_the_maker_did_not_sign_are_not_the_makers(self, authority: MemoryCa) -> None:
        hal = part()
        content = hal.memory.read_slot(10, 0, 72)
        hal.memory.write_slot(10, 0, bytes((content[0] ^ 1,)) + content[1:])
        assert refused(hal, authority).board == Board.SET_ASIDE

    @pytest.mark.parametrize("slot", CERTIFICATE_SLOTS)
    def test_a_locked_slot_is_told_before_anything_is_written(self, authority: MemoryCa, slot: int) -> None:
        hal = part()
        lock_slot(hal, slot)
        error = refused(hal, authority)
        assert (error.code, error.board) == (Code.SLOT_LOCKED, Board.SET_ASIDE)
        assert f"slot {slot}:" in error.what

    def test_parts_ordered_with_permanent_certificates_are_set_aside(self, authority: MemoryCa) -> None:
        """As in the published reading of an early ATECC608A-TNGTLS: WriteConfig Never, not lockable."""
        hal = part()
        for slot, key_config in zip(CERTIFICATE_SLOTS, (0x1C, 0x10, 0x1C), strict=True):
            hal.memory.config[20 + 2 * slot + 1] = 0x8F
            hal.memory.config[96 + 2 * slot] = key_config
        error = refused(hal, authority)
        assert (error.code, error.board) == (Code.SLOT_LOCKED, Board.SET_ASIDE)
        assert "10, 11, 12" in error.what

    def test_a_written_byte_that_is_lost_is_noticed_before_the_slot_is_locked(self, authority: MemoryCa) -> None:
        hal = part()

        def forgetful(packet: bytes) -> bytes:
            lost = packet[1] == Opcode.WRITE and packet[3:5] == bytes((10 << 3, 1))
            return with_crc(b"\x04\x00") if lost else hal.chip.exchange(packet)

        hal.answer = forgetful
        with pytest.raises(ProvisioningError) as error:
            run(hal, authority)
        assert (error.value.code, error.value.stage) == (Code.WRITE_NOT_VERIFIED, Stage.CERTS_WRITE)
        assert error.value.board == Board.RETRY
        assert Act.LOCK_SLOT not in acts(hal)
        hal.answer = None
        run(hal, authority)


def test_the_certificates_of_a_tngtls_are_exported_as_the_advice_says(authority: MemoryCa, tmp_path: Path) -> None:
    error = refused(part("tngtls"), authority)
    (words,) = re.findall(r"'atcaprov (chip cert --device) URL'", error.advice)
    chain = tmp_path / "chain.pem"
    done = run_in_process(atcaprov, *words.split(), "emulator:?image=tngtls", "--out", str(chain))
    assert done.code == 0
    assert len(x509.load_pem_x509_certificates(chain.read_bytes())) == 2


class TestOtherChips:
    @pytest.mark.parametrize("image", ["tngtls", "tngtls-608a", "tngtls-608c", "tmngtls", "tnglora"])
    def test_another_trust_part_is_a_wrong_part(self, authority: MemoryCa, image: str) -> None:
        error = refused(part(image), authority)
        assert (error.code, error.board) == (Code.WRONG_PART, Board.UNTOUCHED)
        assert image.split("-")[0].upper() in error.what
        assert ("atcaprov chip cert" in error.advice) == image.startswith("tngtls")

    @pytest.mark.parametrize("image", ["atecc608a", "atecc608b", "atecc608c", "atecc508a"])
    def test_a_blank_part_is_a_wrong_part(self, authority: MemoryCa, image: str) -> None:
        error = refused(part(image), authority)
        assert (error.code, error.board) == (Code.WRONG_PART, Board.UNTOUCHED)

    def test_a_product_of_ours_is_a_wrong_part(self, authority: MemoryCa) -> None:
        hal = ScriptedHal()
        run(hal, authority, Profile())
        error = refused(hal, authority)
        assert (error.code, error.board) == (Code.WRONG_PART, Board.UNTOUCHED)

    @pytest.mark.parametrize("image", IMAGES)
    def test_a_tflxtls_in_a_line_for_blank_parts_is_a_wrong_part(self, authority: MemoryCa, image: str) -> None:
        error = refused(part(image), authority, Profile())
        assert (error.code, error.board) == (Code.WRONG_PART, Board.UNTOUCHED)
        assert "--part tflxtls" in error.advice

    @pytest.mark.parametrize("offset", [18, 20, 21, 34, 38, 46, 71, 73, 90, 92, 98, 114, 124])
    def test_another_table_is_set_aside(self, authority: MemoryCa, offset: int) -> None:
        hal = part()
        hal.memory.config[offset] ^= 0x01
        error = refused(hal, authority)
        assert (error.code, error.board) == (Code.CONFIG_LOCKED_OTHER, Board.SET_ASIDE)
        assert re.search("another configuration: .+ is .+, not ", error.what)

    @pytest.mark.parametrize("slot", [3, 4, 5, 6, 8, 13, 15])
    def test_what_an_order_chooses_for_other_slots_does_not_matter(self, authority: MemoryCa, slot: int) -> None:
        hal = part()
        hal.memory.config[96 + 2 * slot] &= ~0x20
        hal.memory.config[20 + 2 * slot + 1] = 0x00 if slot < 5 else 0x8F
        run(hal, authority)

    @pytest.mark.parametrize("slot", [3, 8])
    def test_a_slot_that_the_order_left_open_and_not_lockable_is_told_before(
        self, authority: MemoryCa, slot: int
    ) -> None:
        hal = part()
        hal.memory.config[96 + 2 * slot] &= ~0x20
        error = refused(hal, authority, replace(PROFILE, slots_to_lock=(slot,)))
        assert (error.code, error.board) == (Code.SLOT_NOT_LOCKABLE, Board.SET_ASIDE)

    def test_a_permanent_slot_needs_no_lock(self, authority: MemoryCa) -> None:
        hal = part()
        hal.memory.config[96 + 16], hal.memory.config[20 + 17] = 0x1C, 0x8F
        hal.packets.clear()
        run(hal, authority, replace(PROFILE, slots_to_lock=(8,)))
        assert Act.LOCK_SLOT not in acts(hal)

    def test_a_key_that_needs_a_secure_boot_is_told_before(self, authority: MemoryCa) -> None:
        hal = part()
        hal.memory.config[70] |= 0x08
        hal.memory.config[97] |= 0x10
        error = refused(hal, authority)
        assert (error.code, error.board) == (Code.SLOT_NOT_ALLOWED, Board.SET_ASIDE)
        assert "secure boot" in error.what

    def test_a_moved_address_does_not_matter(self, authority: MemoryCa) -> None:
        hal = part()
        hal.memory.config[85] = 0xC0
        hal.packets.clear()
        run(hal, authority)

    def test_a_part_without_its_key_is_set_aside(self, authority: MemoryCa) -> None:
        hal = part()
        hal.answer = lambda packet: with_crc(b"\x04\x0f") if packet[1] == Opcode.GEN_KEY else hal.chip.exchange(packet)
        error = refused(hal, authority)
        assert error.board == Board.SET_ASIDE

    @pytest.mark.parametrize(("good", "stage"), [(0, Stage.GEN_KEY), (1, Stage.VALIDATE_CERTS)])
    def test_a_key_that_does_not_sign_is_not_scrap(self, authority: MemoryCa, good: int, stage: Stage) -> None:
        """It is found before anything is written, and again at the end."""
        hal = part()

        def damaged(packet: bytes) -> bytes:
            reply = hal.chip.exchange(packet)
            signed = sum(each[1] == Opcode.SIGN for each in hal.packets)
            if packet[1] != Opcode.SIGN or signed <= good:
                return reply
            return with_crc(reply[:9] + bytes((reply[9] ^ 1,)) + reply[10:-2])

        hal.answer = damaged
        with pytest.raises(CertificateError) as error:
            run(hal, authority)
        assert (error.value.code, error.value.board) == (Code.KEY_MISMATCH, Board.SET_ASIDE)
        assert error.value.stage is stage
        assert bool(acts(hal)) == (stage is Stage.VALIDATE_CERTS)
        assert bool(authority.issued.get((hal.memory.serial, key_of(hal)))) == (stage is Stage.VALIDATE_CERTS)

    def test_a_board_that_is_exchanged_is_not_written(self, authority: MemoryCa) -> None:
        first, second = part(), part()

        def exchange(packet: bytes) -> bytes:
            return first.chip.exchange(packet)

        first.answer = exchange
        functions = InMemory(authority)
        told = functions.notify

        def notify(stage: Stage, status: StageStatus) -> None:
            told(stage, status)
            if stage is Stage.CONFIG_LOCK:
                first.chip = second.chip
                first.chip.wake()

        functions.notify = notify  # type: ignore[method-assign]
        before = second.memory.image()
        with Device(first) as device, pytest.raises(ProvisioningError, match="exchanged"):
            Provisioner(PROFILE, authority.cert_info, functions).provision(device)
        assert second.memory.image() == before


class TestOpenData:
    """Stage 7 under the maker's rules."""

    def written(
        self, hal: ScriptedHal, authority: MemoryCa, *writes: tuple[int, int, bytes], lock: bool = False
    ) -> None:
        functions = InMemory(authority)

        def write(writer: DataZoneWriter) -> None:
            for each in writes:
                writer.write(*each)

        functions.write = write
        profile = replace(PROFILE, slots_to_lock=tuple({slot for slot, _, _ in writes}) if lock else ())
        with Device(hal) as device:
            Provisioner(profile, authority.cert_info, functions).provision(device)

    def test_open_slots_are_written(self, authority: MemoryCa) -> None:
        hal = part()
        self.written(hal, authority, (8, 32, b"made for this product"), (6, 0, bytes(range(32))), (13, 0, b"k" * 72))
        with Device(hal) as device:
            assert device.read_slot(8, 32, 21) == b"made for this product"
            assert device.read_slot(13, 0, 72) == b"k" * 72
        assert MemorySlot(hal.memory, 6).read(0, 32) == bytes(range(32))

    def test_data_that_are_there_are_not_written_again(self, authority: MemoryCa) -> None:
        hal = part()
        self.written(hal, authority, (8, 0, b"x" * 416), lock=True)
        hal.packets.clear()
        self.written(hal, authority, (8, 0, b"x" * 416), lock=True)
        assert not acts(hal)

    def test_other_data_in_a_locked_slot_are_an_error(self, authority: MemoryCa) -> None:
        hal = part()
        self.written(hal, authority, (8, 0, b"x" * 416), lock=True)
        with pytest.raises(ProvisioningError) as error:
            self.written(hal, authority, (8, 0, b"y" * 416))
        assert (error.value.code, error.value.board) == (Code.SLOT_LOCKED, Board.SET_ASIDE)

    @pytest.mark.parametrize("slot", [0, 1, 2, 5, 7, 10, 11, 12])
    def test_slots_of_keys_and_certificates_take_no_data(self, authority: MemoryCa, slot: int) -> None:
        with pytest.raises((UsageError, ProvisioningError)) as error:
            self.written(part(), authority, (slot, 0, b"x" * 32))
        assert error.value.code == Code.SLOT_NOT_ALLOWED

    @pytest.mark.parametrize("write", [(8, 1, b"x"), (8, 416, b"x"), (8, 0, b""), (6, 0, bytes(36)), (16, 0, b"x")])
    def test_data_that_do_not_fit_are_refused(self, authority: MemoryCa, write: tuple[int, int, bytes]) -> None:
        with pytest.raises(UsageError):
            self.written(part(), authority, write)


def test_any_signer_of_the_group_may_certify(authority: MemoryCa) -> None:
    """As for blank parts: another signer of the same root and product, and the run can be repeated."""
    group, other = MemoryCa(), MemoryCa()
    other.root_key = group.root_key

    def answer(request: AnyMessage) -> AnyMessage:
        if not isinstance(request, CertificatesRequest):
            return MemoryCa.answer(group, request)
        return other.answer(replace(request, signer_public_key=other.signer_public_key))

    group.answer = answer  # type: ignore[method-assign]
    hal, any_signer = part(), replace(PROFILE, any_of_group=True)
    first, _ = run(hal, group, any_signer)
    assert first.signer_certificate == other.signer.der
    again, _ = run(hal, group, replace(any_signer, replace_certificates=False))
    assert again.was_done_before
    with pytest.raises(CertificateError):
        run(part(), group)


class TestProfiles:
    @pytest.mark.parametrize("slot", [0, 2, 3, 4])
    def test_keys_that_sign_messages_may_be_certified(self, slot: int) -> None:
        profile = Profile(part=DeliveredPart.TFLXTLS, device_key_slot=slot)
        assert profile.config_zone == TFLXTLS_TABLE.config

    @pytest.mark.parametrize("slot", [1, 5, 15, 16, -1])
    def test_other_key_slots_are_refused(self, slot: int) -> None:
        with pytest.raises(UsageError):
            Profile(part=DeliveredPart.TFLXTLS, device_key_slot=slot)

    @pytest.mark.parametrize("slot", [0, 1, 7, 9, 14, 16])
    def test_slots_that_no_order_makes_lockable_are_refused(self, slot: int) -> None:
        with pytest.raises(UsageError) as error:
            Profile(part=DeliveredPart.TFLXTLS, slots_to_lock=(slot,))
        assert error.value.code == Code.SLOT_NOT_LOCKABLE

    @pytest.mark.parametrize("slot", [0, 5, 6, 7, 9, 14, 16])
    def test_slots_that_cannot_hold_certificates_are_refused(self, slot: int) -> None:
        with pytest.raises(UsageError, match=f"Slot {slot}"):
            Profile(part=DeliveredPart.TFLXTLS, certificate_slots=frozenset({slot}))

    def test_a_configuration_of_ones_own_is_refused(self) -> None:
        with pytest.raises(UsageError, match="configuration of its own"):
            Profile(part=DeliveredPart.TFLXTLS, config_zone=bytes(128))
