"""What a chip is used for, told from what it shows."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import Act, Code, Device, Profile, Provisioner, ProvisioningError, Stage
from atcaprov.certs.descriptions.description import default_description
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import COUNTERS, LOCK_CONFIG, LOCK_VALUE
from atcaprov.chip.parts import part_name
from atcaprov.cli.chip.info import info_object
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.module_zones import FULL_MODULE
from atcaprov.config_zone.zone_fields import encode_counter
from atcaprov.device.library_abi import load_library
from atcaprov.device.read_only import ReadOnlyHal
from atcaprov.emulator.memory import Memory
from atcaprov.inspection.identity import Identity, Use, address_of, identify, suffix_text
from atcaprov.inspection.snapshot import read_identity, read_snapshot
from atcaprov.inspection.tray import sort_chip
from atcaprov.inspection.twin import twin_memory
from atcaprov.provisioning.profile import DeliveredPart
from signer_module.on_chip.creation.root_module import make_root
from tests.support.chips_by_use import hal_of, image, of_another_tool, provisioned, with_zone
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import order
from tests.support.trust_parts import trust_part


def identity_of(memory: Memory) -> Identity:
    with Device(hal_of(memory)) as device:
        return identify(read_snapshot(device))


def half_provisioned(*, with_key: bool) -> Memory:
    memory = with_zone(DEFAULT_608A, data_locked=False)
    if with_key:
        with Device(hal_of(memory)) as device, device.permit(Act.CREATE_KEY):
            device.gen_key(0)
    return memory


def written_only() -> Memory:
    return with_zone(DEFAULT_608A, config_locked=False, data_locked=False)


def counted() -> Memory:
    memory = image()
    memory.config[COUNTERS.start : COUNTERS.start + 8] = encode_counter(5)
    memory.config[84] = 0x5A
    return memory


def nerves_key() -> Memory:
    memory = of_another_tool()
    memory.otp[:4] = b"Nrvs"
    return memory


def moved_trust_part() -> Memory:
    memory = image("tngtls")
    memory.config[85] = 0xC0
    return memory


USES: dict[str, tuple[Callable[[], Memory], Use, str]] = {
    "blank": (image, Use.BLANK, "as the maker delivers it"),
    "608C": (lambda: image("atecc608c"), Use.BLANK, "as the maker delivers it"),
    "counted": (counted, Use.USED_BEFORE, "Counter 0 stands at 5, byte 84 is set to 5A"),
    "factory locked": (lambda: with_zone(bytes(image().config)), Use.FACTORY_LOCKED, "esp_cryptoauth_utility"),
    "provisioned": (provisioned, Use.PRODUCT, "both zones are locked, so stages 1 to 8 are done; which slots stage 9"),
    "locked without certificates": (lambda: with_zone(DEFAULT_608A), Use.PRODUCT, "locked without certificates"),
    "TNGTLS": (lambda: image("tngtls"), Use.TRUST_PART, "delivered locked by the maker"),
    "TNGTLS at another address": (moved_trust_part, Use.TRUST_PART, "from 0x6A (7-bit 0x35) to 0xC0 (7-bit 0x60)"),
    "other tool": (of_another_tool, Use.OTHER_TOOL, "kmwebnet's ECC608-MassProvisioning: locked"),
    "NervesKey": (nerves_key, Use.OTHER_TOOL, "a NervesKey: its OTP zone begins with Nrvs"),
    "module begun": (lambda: with_zone(FULL_MODULE, data_locked=False), Use.MODULE, "not finished"),
    "module without mark": (lambda: with_zone(FULL_MODULE), Use.MODULE, "without the mark"),
    "unknown": (lambda: with_zone(bytes(128)), Use.UNKNOWN, "perhaps another product's: locked"),
    "unknown, open": (
        lambda: with_zone(bytes(128), config_locked=False, data_locked=False), Use.UNKNOWN, "written and not locked",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", USES)
def test_use_of_a_chip_is_named_with_its_reason(name: str) -> None:
    make, use, reason = USES[name]
    identity = identity_of(make())
    assert identity.use is use
    assert reason in identity.reason


@pytest.mark.parametrize(
    ("memory", "stages"),
    [
        (written_only(), [Stage.CONFIG_LOCK]),
        (half_provisioned(with_key=False), [Stage.GEN_KEY]),
        (half_provisioned(with_key=True), [5, 6, 7, 8]),
    ],
)
def test_a_half_provisioned_chip_says_where_a_run_goes_on(memory: Memory, stages: list[int]) -> None:
    identity = identity_of(memory)
    assert identity.use is Use.PRODUCT
    assert list(identity.stages) == stages


@pytest.mark.slow
def test_a_finished_chip_has_no_next_stage() -> None:
    identity = identity_of(provisioned())
    assert identity.reason.startswith("provisioned: it has a key and certificates")
    assert identity.stages == ()


OTHERS = "slots 10 to 12 hold certificates that do not read as the maker's"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tflxtls", "tflxtls-608a", "tflxtls-608c"])
def test_a_trust_flex_with_certificates_of_the_customer_says_so(name: str) -> None:
    memory, functions = image(name), InMemory(MemoryCa())
    assert identity_of(memory).reason == "delivered locked by the maker"
    profile = Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True)
    with Device(hal_of(memory)) as device:
        Provisioner(profile, functions.authority.cert_info, functions).provision(device)
        assert identify(read_identity(device)).reason == "delivered locked by the maker"  # without the slots
    assert identity_of(memory).reason == f"delivered locked by the maker; {OTHERS}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tflxtls", "tngtls-2"])
def test_certificates_of_the_maker_on_a_trust_flex_are_not_taken_for_others(kind: str) -> None:
    memory = trust_part(kind)
    memory.config[16:] = image("tflxtls").config[16:]
    assert identity_of(memory).reason == "delivered locked by the maker"


@pytest.mark.parametrize("content", [b"\xff" * 72, bytes(72), b"\xaa" * 72])
def test_a_trust_flex_without_certificates_is_not_said_to_hold_others(content: bytes) -> None:
    memory = image("tflxtls")
    for slot in (10, 11, 12):
        memory.write_slot(slot, 0, content)
    assert identity_of(memory).reason == "delivered locked by the maker"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tngtls", "tflxtls", "tnglora", "tmngtls"])
def test_a_trust_part_is_named_with_its_silicon(name: str) -> None:
    assert identity_of(image(name)).part.endswith(f"-{name.upper()}")
    assert identity_of(image(name)).part.startswith("ATECC608")


@pytest.mark.slow
def test_a_root_module_is_told_by_its_mark() -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        make_root(device, order(), default_description("root"), datetime(2026, 11, 30, tzinfo=UTC), keep=lambda _: None)
        identity = identify(read_snapshot(device))
        quick = identify(read_identity(device))
    assert (identity.use, identity.part) == (Use.ROOT_MODULE, "ATECC608A")
    assert quick.use is Use.MODULE  # without slot 9


@pytest.mark.parametrize(
    ("revision", "name"), [("00020009", "ATSHA204A"), ("00001000", "ATECC108A"), ("00004001", "ATSHA206A")]
)
def test_a_part_with_another_memory_is_named_and_not_read(revision: str, name: str) -> None:
    hal = ScriptedHal()
    hal.answer = lambda packet: with_crc(bytes((7,)) + bytes.fromhex(revision))
    with Device(hal) as device, pytest.raises(ProvisioningError, match=name) as wrong:
        read_identity(device)
    assert wrong.value.code == Code.WRONG_PART
    assert {packet[1] for packet in hal.packets} == {Opcode.INFO}


VENDOR_TYPES = {0: "ATSHA204A", 1: "ATECC108A", 2: "ATECC508A", 3: "ATECC608A", 4: "ATSHA206A", 0x20: "ECC204"}
"""Numbers of ATCADeviceType (cryptoauthlib, lib/atca_devtypes.h)."""


@pytest.mark.parametrize("family", range(256))
def test_parts_are_told_apart_as_the_vendors_library_does(family: int) -> None:
    revision = bytes((0, 0, family, 0))
    vendor = load_library().calib_get_devicetype((ctypes.c_uint8 * 4)(*revision))
    assert part_name(revision) == VENDOR_TYPES.get(vendor, f"unknown part, revision 00 00 {family:02X} 00")


def test_the_serial_number_says_what_kind_of_part_it_is() -> None:
    assert suffix_text(bytes.fromhex("0123000000000000EE")) == "ends as on generic parts"
    assert suffix_text(bytes.fromhex("012300000000000001")) == "ends as on Trust parts"
    assert suffix_text(bytes.fromhex("012300000000000077")) == "ends unusually, with 77"
    assert "01 23" in suffix_text(bytes(9))


def test_the_address_in_use_is_byte_85_where_the_chip_mode_says_so() -> None:
    with Device(hal_of(moved_trust_part())) as device:
        assert address_of(read_identity(device).zone) == 0xC0
    memory = counted()
    memory.config[85] = 0x32
    with Device(hal_of(memory)) as device:
        assert address_of(read_identity(device).zone) == 0xC0


@pytest.mark.slow
@settings(max_examples=30)
@given(st.binary(min_size=112, max_size=112), st.sampled_from([0x00, 0x55]), st.sampled_from([0x00, 0x55]))
def test_any_configuration_can_be_told_shown_and_sorted(zone: bytes, lock_config: int, lock_value: int) -> None:
    memory = image()
    memory.config[16:] = zone
    memory.config[LOCK_CONFIG], memory.config[LOCK_VALUE] = lock_config, lock_value
    before = memory.image()
    with Device(ReadOnlyHal(hal_of(memory))) as device:
        snapshot = read_snapshot(device)
        sorted_chip = sort_chip(device)
    identity = identify(snapshot)
    assert identity.reason
    assert sorted_chip.use == identity.use
    assert json.loads(json.dumps(info_object(snapshot)))["config"] == bytes(memory.config).hex().upper()
    assert twin_memory(snapshot).config == memory.config
    assert memory.image() == before
