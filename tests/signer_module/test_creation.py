"""Create modules: whole, cut at every command and repeated, and what is refused before the first lock."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov import (
    Act,
    Allow,
    AtcaProvError,
    Board,
    Code,
    Device,
    DeviceError,
    ProvisioningError,
    TransportError,
    UsageError,
    check_config_zone,
)
from atcaprov.certs.descriptions.description import CertificateDescription, default_description
from atcaprov.certs.keys import verify_digest
from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.config_zone.check import Level
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.module_zones import FULL_MODULE
from atcaprov.config_zone.toml_file import build_toml
from atcaprov.config_zone.zone_fields import COUNTER_MAX
from atcaprov.device.zones.config_zone import lock_config, write_config
from atcaprov.emulator.counters import write_counter
from atcaprov.hal.registry import register_hal
from signer_module.on_chip.creation.chip_check import look_first
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.creation.root_module import make_root
from signer_module.on_chip.creation.signer_module import make_signer
from signer_module.on_chip.module import RootModule, SignerModule
from signer_module.on_chip.public_contents import RootModuleContents, read_module
from signer_module.on_chip.quota import MOST, Quota, limit_for
from signer_module.on_chip.slot_layout import VARIANTS, Variant, variant_of
from signer_module.on_files.root_folder import RootFolder, write_module_folder
from signer_module.signer_description import SignerDescriptions
from tests.support.power_cuts import PowerCut, at_a_command, commands, cut_and_repeat, cutting
from tests.support.scripted_hal import Answer, ScriptedHal
from tests.support.signer_modules import DESCRIPTIONS, PASSWORD, make, no_pause, open_order, order, replug, root_folder

DIGEST = hashlib.sha256(b"to be signed").digest()
TOML = (Path(__file__).parents[2] / "configs/signer-module.toml").read_text()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


def toml_of(variant: Variant) -> str:
    """The documented file with what the variant leaves out."""
    sections = TOML.split("\n[")
    unused = []
    if not variant.password:
        unused += ["1", "2", "3"]
        sections = [part.replace("auth_key = 1", "") if part.startswith("slots.0]") else part for part in sections]
    if not variant.quota:
        sections = [part.replace("limited_use = true", "").replace("count_match_slot = 4", "") for part in sections]
        unused += ["4"]
    kept = [part for part in sections if part.split("]")[0] not in {f"slots.{slot}" for slot in unused}]
    text = "\n[".join(kept)
    if variant.layout == 1:
        unused += ["2"] * variant.password
        text = "\n[".join(part for part in text.split("\n[") if not part.startswith("slots.2]"))
        text = re.sub("(ecdh|kdf)_output = .*", "", text)
    return text.replace('"5-7"', f'"{",".join([*unused, "5-7"])}"')


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_bytes_are_those_of_the_documented_file(variant: Variant) -> None:
    assert build_toml(toml_of(variant)) == variant.config_zone
    assert variant_of(variant.config_zone) == variant


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_check_of_configurations_finds_no_fault(variant: Variant) -> None:
    found = check_config_zone(
        variant.config_zone, device_key_slot=None, written_slots={*range(1, 16)}, allow=[Allow.COUNT_MATCH]
    )
    assert [finding for finding in found if finding.level is Level.ERROR] == []


def test_one_differing_byte_makes_it_another_configuration() -> None:
    zone = FULL_MODULE
    for offset in (16, 18, 20, 21, 51, 68, 83, 90, 96, 127):
        assert variant_of(zone[:offset] + bytes([zone[offset] ^ 1]) + zone[offset + 1 :]) is None


@pytest.mark.slow
@at_a_command
def test_signer_cut_at_any_command_is_finished_by_the_same_command(root: RootFolder, reply_lost: bool) -> None:
    wanted = order(quota=50)

    def finish(cut: int) -> None:
        hal = cut_and_repeat(lambda device: make(device, root, wanted), cut, reply_lost)
        with SignerModule.on(Device(hal), no_pause) as module:
            module.unlock(PASSWORD)
            assert module.prove()
            assert module.remaining == 50
            assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
            assert root.register.issued()[module.signer_id.hex().upper()]

    count = commands(lambda device: make(device, root, wanted))
    assert count > 40
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(finish, range(count)))


@pytest.mark.slow
def test_a_cut_run_keeps_its_signer_id(root: RootFolder) -> None:
    count = commands(lambda device: make(device, root, open_order()))
    before = len(root.register.issued())
    for from_end in (4, 8):
        hal = cut_and_repeat(lambda device: make(device, root, open_order()), count - from_end, True)
        with SignerModule.on(Device(hal)) as module:
            assert module.ready
    assert len(root.register.issued()) == before + 2


def test_resumed_run_does_not_take_another_signers_id(root: RootFolder) -> None:
    with Device(ScriptedHal()) as device:
        make(device, root, open_order(), b"\x44\x55")
    before, hal = root.register.issued(), ScriptedHal()
    with Device(hal) as device:
        hal.answer = lambda packet: hal.chip.exchange(packet) if packet[1] != Opcode.GEN_KEY else b""
        with pytest.raises(TransportError):
            make(device, root, open_order())
        hal.answer = None
        with pytest.raises(UsageError, match="already in use"):
            make(device, root, open_order(), b"\x44\x55")
    assert root.register.issued() == before


@pytest.mark.slow
def test_resumed_run_keeps_its_signer_id(root: RootFolder) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        hal.answer = cutting(hal, commands(lambda device: make(device, root, open_order())) - 8, False)
        with pytest.raises(PowerCut):
            make(device, root, open_order(), b"\x66\x77")
        hal.answer = None
        before = root.register.issued()
        with pytest.raises(UsageError, match="begun with the signer id 6677, which cannot be changed"):
            make(device, root, open_order(), b"\x66\x78")
        make(device, root, open_order(), b"\x66\x77")
    assert root.register.issued() == before


def a_root(device: Device, wanted: ModuleOrder | None = None) -> None:
    make_root(device, wanted or order(quota=3), default_description("root"), datetime.now(UTC), keep=lambda _: None)


@pytest.mark.slow
@at_a_command
def test_root_cut_at_any_command_is_finished_by_the_same_command(reply_lost: bool) -> None:
    wanted = order(quota=28)  # three steps of the counter away from a limit: it is cut at each

    def finish(cut: int) -> None:
        hal = cut_and_repeat(lambda device: a_root(device, wanted), cut, reply_lost)
        with Device(hal) as device:
            facts = read_module(device)
            assert isinstance(facts, RootModuleContents)
            root = RootModule(device, facts, no_pause)
            root.unlock(PASSWORD)
            assert root.prove()
            assert root.remaining == 28

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(finish, range(commands(lambda device: a_root(device, wanted)))))


@pytest.mark.slow
def test_a_root_module_certifies_signer_modules(tmp_path: Path) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        a_root(device)
    with Device(hal) as device, Device.open("emulator:") as blank:
        facts = read_module(device)
        assert isinstance(facts, RootModuleContents)
        root = RootModule(device, facts, no_pause)
        root.unlock(PASSWORD)
        folder = write_module_folder(tmp_path / "root", root.certificate, root.serial)
        assert not folder.has_key
        make_signer(
            blank,
            order(),
            root=folder,
            sign=root.sign,
            descriptions=DESCRIPTIONS,
            signer_id=b"\x00\x34",
            now=datetime.now(UTC),
        )
        assert root.remaining == 2
        with SignerModule.on(blank, no_pause) as module:
            assert module.root_certificate == root.certificate
            assert module.signer_id == b"\x00\x34"


def never_changed(hal: ScriptedHal) -> bool:
    return not {packet[1] for packet in hal.packets} - {Opcode.READ, Opcode.INFO}


def test_errors_are_found_before_the_chip_is_changed(root: RootFolder) -> None:
    hal = ScriptedHal()
    taken = bytes.fromhex(next(iter(root.register.issued()), "0001"))
    with Device(hal) as device:
        if not root.register.issued():
            root.register.enter(taken, bytes(64), "x", datetime.now(UTC))
        with pytest.raises(UsageError, match="already in use"):
            make(device, root, order(), signer_id=taken)
        late = datetime(2032, 1, 1, tzinfo=UTC)
        with pytest.raises(UsageError, match="issue years"):
            make_signer_late(device, root, late)
    for quota in (0, -1, 2_097_151):
        with pytest.raises(UsageError, match="quota"):
            open_order(quota)
    assert never_changed(hal)


def make_signer_late(device: Device, root: RootFolder, now: datetime) -> None:
    sign = root.unlock(None).sign
    make_signer(device, order(), root=root, sign=sign, descriptions=DESCRIPTIONS, signer_id=None, now=now)


def long_descriptions(*lengths: int) -> SignerDescriptions:
    """Return descriptions whose subjects have texts of these lengths that cannot be made shorter."""
    noise = itertools.count()

    def lengthened(description: CertificateDescription) -> CertificateDescription:
        keys = ("organization", "organizational_unit", "state", "locality", "serial_number")
        texts = tuple(
            (key, base64.b64encode(hashlib.sha512(bytes([next(noise)])).digest())[:length].decode())
            for key, length in zip(keys, lengths, strict=False)
        )
        attributes = (*texts, ("common_name", description.subject.common_name))
        return dataclasses.replace(description, subject=dataclasses.replace(description.subject, attributes=attributes))

    return SignerDescriptions(lengthened(DESCRIPTIONS.signer), lengthened(DESCRIPTIONS.device))


def make_described(device: Device, root: RootFolder, descriptions: SignerDescriptions) -> None:
    sign, now = root.unlock(None).sign, datetime.now(UTC)
    make_signer(device, order(), root=root, sign=sign, descriptions=descriptions, signer_id=None, now=now)


def test_a_description_that_does_not_fit_is_refused_before_the_chip_is_changed(root: RootFolder) -> None:
    hal = ScriptedHal()
    with Device(hal) as device, pytest.raises(UsageError, match="776 bytes") as refused:
        make_described(device, root, long_descriptions(64, 64, 64, 64, 64))
    assert refused.value.code == Code.DEFINITION_INVALID
    assert never_changed(hal)


@pytest.mark.slow
def test_the_end_of_a_long_description_is_in_otp(root: RootFolder) -> None:
    hal, descriptions = ScriptedHal(), long_descriptions(64, 64, 64, 64, 38)
    with Device(hal) as device:
        make_described(device, root, descriptions)
        module = SignerModule.on(device, no_pause)
        document = module.contents.document
        assert (document.signer, document.device) == (descriptions.signer, descriptions.device)
    assert hal.chip.chip.memory.otp != b"\xff" * 64  # type: ignore[attr-defined]


def test_chip_of_another_part_is_refused(root: RootFolder) -> None:
    hal = ScriptedHal()
    hal.memory.revision = bytes.fromhex("00005000")
    with Device(hal) as device, pytest.raises(ProvisioningError) as refused:
        make(device, root, order())
    assert (refused.value.code, refused.value.board) == (Code.WRONG_PART, Board.UNTOUCHED)
    assert never_changed(hal)


def test_finished_module_is_not_made_again(root: RootFolder) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        make(device, root, open_order())
        hal.packets.clear()
        with pytest.raises(ProvisioningError) as refused:
            make(device, root, open_order())
        assert refused.value.code == Code.DATA_LOCKED_OTHER
    assert never_changed(hal)


def test_module_begun_with_other_options_names_them(root: RootFolder) -> None:
    hal = ScriptedHal()
    hal.answer = cutting(hal, 30, False)
    with Device(hal) as device, pytest.raises(PowerCut):
        make(device, root, order())
    hal.answer = None
    with Device(hal) as device, pytest.raises(ProvisioningError, match="begun with password and without quota"):
        make(device, root, open_order())


def test_part_with_another_memory_is_not_read_by_signer_module() -> None:
    hal = ScriptedHal()
    hal.answer = lambda packet: with_crc(bytes.fromhex("0700020009"))
    register_hal("old-part", lambda _: hal)
    with pytest.raises(ProvisioningError, match="ATSHA204A") as refused:
        look_first("old-part:", order().variant, None)
    assert refused.value.code == Code.WRONG_PART
    assert {packet[1] for packet in hal.packets} == {Opcode.INFO}


def test_chip_of_another_tool_is_named_as_one() -> None:
    url = "emulator:?image=tngtls"
    for opened in (lambda: look_first(url, order().variant, None), lambda: SignerModule.open(url)):
        with pytest.raises(ProvisioningError, match="ATECC608 TNGTLS") as refused:
            opened()
        assert refused.value.code in (Code.WRONG_PART, Code.NOT_A_MODULE)


def test_chip_with_a_products_configuration_is_refused(root: RootFolder) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        with device.permit(Act.WRITE_CONFIG):
            written = write_config(device, device.read_config(), DEFAULT_608A)
        with device.permit(Act.LOCK_CONFIG):
            lock_config(device, written)
        before = len(hal.packets)
        with pytest.raises(ProvisioningError) as refused:
            make(device, root, open_order())
    assert refused.value.code == Code.CONFIG_LOCKED_OTHER
    assert {packet[1] for packet in hal.packets[before:]} == {Opcode.INFO, Opcode.READ}


def test_ordered_password_is_never_left_out() -> None:
    assert order(may_have_password=False).variant == order().variant


def test_a_password_is_not_written_where_it_is_read(root: RootFolder) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        make(device, root, order())
        config = device.read_config()
        assert config[86:88] == b"\0\0"
        for slot in (1, 3):
            with pytest.raises(AtcaProvError):
                device.read_slot(slot, 0, 32)


def refusing(hal: ScriptedHal, opcode: Opcode, mode: int) -> Answer:
    """Answer one command with a parse error, which says nothing of what is on the chip."""
    parse_error = with_crc(bytes((4, Status.PARSE_ERROR)))
    return lambda packet: parse_error if packet[1:3] == bytes((opcode, mode)) else hal.chip.exchange(packet)


def test_data_lock_refused_for_another_reason_is_not_repeated(root: RootFolder) -> None:
    hal = ScriptedHal()
    hal.answer = refusing(hal, Opcode.LOCK, 0x01)
    with Device(hal) as device, pytest.raises(DeviceError) as refused:
        make(device, root, open_order())
    assert refused.value.status == Status.PARSE_ERROR
    assert [packet[1:3] for packet in hal.packets].count(bytes((Opcode.LOCK, 0x01))) == 1
    assert hal.packets[-1][1] == Opcode.LOCK


@pytest.mark.slow
def test_chip_that_refuses_the_data_crc_is_filled_and_locked(root: RootFolder) -> None:
    hal = ScriptedHal()

    def with_foreign_content(packet: bytes) -> bytes:
        reply = hal.chip.exchange(packet)
        if packet[1:3] == bytes((Opcode.LOCK, 0x00)):
            hal.chip.chip.memory.data[-5] = 0x00  # type: ignore[attr-defined]
        return reply

    hal.answer = with_foreign_content
    with Device(hal) as device:
        make(device, root, open_order())
        assert SignerModule.on(device, no_pause).prove()
    assert [packet[1:3] for packet in hal.packets].count(bytes((Opcode.LOCK, 0x01))) == 2


def test_chip_that_does_not_return_its_key_keeps_it(root: RootFolder) -> None:
    hal = ScriptedHal()
    hal.answer = refusing(hal, Opcode.LOCK, 0x01)
    with Device(hal) as device:
        with pytest.raises(DeviceError):
            make(device, root, open_order())
        key = device.get_pubkey(0)
        hal.answer = refusing(hal, Opcode.GEN_KEY, 0x00)
        with pytest.raises(DeviceError) as refused:
            make(device, root, open_order())
        assert refused.value.status == Status.PARSE_ERROR
        hal.answer = None
        assert device.get_pubkey(0) == key


def test_a_chip_whose_counter_leaves_no_room_for_the_quota_is_refused_before_its_data_lock(root: RootFolder) -> None:
    hal = ScriptedHal()
    device = Device(hal)
    memory = hal.chip.chip.memory  # type: ignore[attr-defined]
    write_counter(memory, 0, COUNTER_MAX - 100)
    for begun in (False, True):
        with pytest.raises(ProvisioningError, match="no room") as refused:
            make(device, root, order(quota=1000))
        assert refused.value.code == Code.QUOTA_USED_UP
        assert (memory.config_locked, memory.data_locked) == (begun, False)
        if not begun:
            write_counter(memory, 0, 0)
            hal.answer = lambda packet: hal.chip.exchange(packet) if packet[1] != Opcode.GEN_KEY else b""
            with pytest.raises(TransportError):
                make(device, root, order(quota=1000))
            hal.answer = None
            write_counter(memory, 0, COUNTER_MAX - 100)
            replug(hal)


def test_quota_of_a_new_module_is_low_only_near_its_end() -> None:
    for quota in (1, 2, 31, 32, 33, 100, 1000, 100_000, MOST):
        for begin in (0, 1, 31):
            limit = limit_for(quota, begin)
            assert not Quota(limit, limit - quota).low
            assert Quota(limit, limit).low
    assert Quota(limit_for(1000, 0), limit_for(1000, 0) - 49).low
    assert Quota(COUNTER_MAX + 1, COUNTER_MAX - 3).remaining == 3
