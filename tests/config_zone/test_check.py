from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Allow, Code, Finding, Part, UsageError, check_config_zone
from atcaprov.config_zone.check import Level, Rule, require_safe
from atcaprov.config_zone.defaults import DEFAULT_608A
from tests.support.config_zones import MISTAKES, PUBLISHED, changed, part_of, published, with_slot

CERTIFICATES = {"certificate_slots": {10, 11, 12}}
ERROR, WARNING, INFO = Level.ERROR, Level.WARNING, Level.INFO


@dataclass(frozen=True)
class Case:
    """A zone with one fault, and the one finding that it must bring beside those of the default."""

    zone: bytes
    level: Level
    rule: Rule
    byte: int
    slot: int | None = None
    part: Part = Part.ATECC608A
    wishes: dict[str, Any] = field(default_factory=dict)


def one_byte(byte: int, text: str, level: Level, rule: Rule, *, at: int | None = None) -> Case:
    return Case(changed((byte, text)), level, rule, byte if at is None else at)


def one_slot(number: int, slot_config: int, key_config: int, level: Level, rule: Rule, *, key: bool = False) -> Case:
    byte = (96 if key else 20) + 2 * number
    return Case(with_slot(number, slot_config, key_config), level, rule, byte, number)


# A secret in slot 6 that may be named as a key, so that slot 5 can point to it.
KEY_6 = with_slot(6, 0x8F8F, 0x001C)

CASES = {
    "a 508A table": one_byte(68, "FF" * 16, ERROR, Rule.TABLE_OF_508A),
    "reserved byte 17": one_byte(17, "01", WARNING, Rule.RESERVED),
    "reserved byte 75": one_byte(75, "01", ERROR, Rule.RESERVED),
    "reserved byte 83": one_byte(83, "80", ERROR, Rule.RESERVED),
    "reserved ChipOptions": one_byte(90, "10", WARNING, Rule.RESERVED),
    "moved address": one_byte(16, "6A", ERROR, Rule.I2C_ADDRESS),
    "odd address": one_byte(16, "C1", ERROR, Rule.I2C_ADDRESS),
    "address in 7 bits": one_byte(16, "60", ERROR, Rule.I2C_ADDRESS),
    "address 00": one_byte(16, "00", ERROR, Rule.I2C_ADDRESS),
    "blanks as address": one_byte(16, "20", ERROR, Rule.I2C_ADDRESS),
    "reserved address": one_byte(16, "F0", ERROR, Rule.I2C_ADDRESS),
    "address moved by byte 85": Case(changed((19, "01"), (85, "6A")), ERROR, Rule.I2C_ADDRESS, 85),
    "address can be moved once": one_byte(19, "01", WARNING, Rule.I2C_ADDRESS_ONCE),
    "CountMatch": one_byte(18, "51", ERROR, Rule.COUNT_MATCH),
    "OTPmode left over": one_byte(18, "AA", INFO, Rule.OTP_MODE),
    "clock M1": one_byte(19, "28", WARNING, Rule.CLOCK_DIVIDER),
    "clock M2": one_byte(19, "68", WARNING, Rule.CLOCK_DIVIDER),
    "unknown clock": one_byte(19, "08", ERROR, Rule.CLOCK_DIVIDER),
    "long watchdog": one_byte(19, "04", WARNING, Rule.LONG_WATCHDOG),
    "input levels": one_byte(19, "02", INFO, Rule.INPUT_LEVELS),
    "strange counter": one_byte(52, "00" * 8, WARNING, Rule.COUNTER_START),
    "counter not at 0": one_byte(60, "7FFFFFFF00000000", INFO, Rule.COUNTER_START),
    "slot sealed at once": one_byte(88, "FFF7", ERROR, Rule.SLOT_LOCKED),
    "UserExtra": one_byte(84, "12", INFO, Rule.USER_EXTRA),
    "byte 85 without ChipMode": one_byte(85, "6A", INFO, Rule.USER_EXTRA),
    "X509format": one_byte(92, "21", INFO, Rule.X509_FORMAT),
    "UseLock": one_byte(68, "5A", ERROR, Rule.USE_LOCK),
    "UseLock not clean": one_byte(68, "FF", WARNING, Rule.USE_LOCK),
    "VolatileKeyPermission": one_byte(69, "85", ERROR, Rule.VOLATILE_KEY_PERMISSION),
    "VolatileKeyPermission not clean": one_byte(69, "05", INFO, Rule.VOLATILE_KEY_PERMISSION),
    "SecureBoot": Case(
        with_slot(15, 0x8F0F, 0x0010, zone=changed((70, "03F7"))),
        ERROR,
        Rule.SECURE_BOOT,
        70,
    ),
    "SecureBoot not clean": one_byte(70, "08", WARNING, Rule.SECURE_BOOT),
    "KDF IV": one_byte(72, "096976", INFO, Rule.KDF_IV),
    "self test": one_byte(90, "01", WARNING, Rule.CHIP_OPTIONS),
    "encrypted ECDH without a key": one_byte(91, "01", ERROR, Rule.CHIP_OPTIONS, at=90),
    "encrypted KDF without a key": one_byte(91, "04", ERROR, Rule.CHIP_OPTIONS, at=90),
    "IO protection key that is private": one_byte(90, "0200", ERROR, Rule.IO_PROTECTION_KEY),
    "IO protection key in clear": one_byte(90, "0280", ERROR, Rule.IO_PROTECTION_KEY),
    "reserved KeyType": one_slot(13, 0x0F0F, 0x0034, ERROR, Rule.KEY_TYPE, key=True),
    "reserved KeyConfig bit": one_slot(13, 0x0F0F, 0x203C, WARNING, Rule.KEY_CONFIG, key=True),
    "AuthKey without ReqAuth": one_slot(13, 0x0F0F, 0x053C, WARNING, Rule.KEY_CONFIG, key=True),
    "private key of another type": one_slot(2, 0x2085, 0x003F, ERROR, Rule.PRIVATE_KEY, key=True),
    "private key not secret": one_slot(2, 0x2005, 0x0033, ERROR, Rule.PRIVATE_KEY),
    "private key with EncryptRead": one_slot(2, 0x20C5, 0x0033, ERROR, Rule.PRIVATE_KEY),
    "private key with NoMac": one_slot(2, 0x2095, 0x0033, WARNING, Rule.PRIVATE_KEY),
    "private key without use": one_slot(2, 0x2080, 0x0033, WARNING, Rule.PRIVATE_KEY),
    "public key hidden": one_slot(2, 0x2085, 0x0031, WARNING, Rule.PRIVATE_KEY, key=True),
    "private key that nothing makes": one_slot(2, 0x0085, 0x0033, WARNING, Rule.PRIVATE_KEY_EMPTY),
    "ECDH into itself": one_slot(3, 0x208D, 0x0033, WARNING, Rule.ECDH_PARTNER),
    "ECDH into a private key": one_slot(2, 0x208D, 0x0033, WARNING, Rule.ECDH_PARTNER),
    "public key in a small slot": one_slot(7, 0x8F0F, 0x0010, WARNING, Rule.PUBLIC_KEY_SIZE, key=True),
    "encrypted reads of a slot that is not secret": one_slot(13, 0x0F46, 0x003C, ERROR, Rule.ENCRYPTED_ACCESS),
    "encrypted writes of a slot that is not secret": one_slot(13, 0x460F, 0x003C, WARNING, Rule.ENCRYPTED_ACCESS),
    "ReadKey 0 in clear": one_slot(13, 0x0F00, 0x003C, INFO, Rule.READ_KEY_ZERO),
    "ReadKey 0 of a secret": one_slot(5, 0x8F80, 0x001C, WARNING, Rule.READ_KEY_ZERO),
    "secret that is always writable": one_slot(13, 0x0F8F, 0x003C, WARNING, Rule.OPEN_SECRET),
    "secret that is never valid, so always writable": one_slot(13, 0x1F8F, 0x003C, WARNING, Rule.OPEN_SECRET),
    "KDF target": one_slot(13, 0x0F0F, 0x003E, INFO, Rule.KDF_TARGET, key=True),
    "LimitedUse": one_slot(2, 0x20A5, 0x0033, WARNING, Rule.LIMITED_USE),
    "PersistentDisable": one_slot(2, 0x2085, 0x1033, ERROR, Rule.PERSISTENT_DISABLE, key=True),
    "ReadKey in clear": one_slot(13, 0x0FC8, 0x003C, ERROR, Rule.KEY_REFERENCE),
    "WriteKey private": one_slot(13, 0x428F, 0x003C, ERROR, Rule.KEY_REFERENCE),
    "PrivWrite under a private key": one_slot(2, 0x6085, 0x0033, ERROR, Rule.KEY_REFERENCE),
    "DeriveKey from a private key": one_slot(13, 0x308F, 0x003C, ERROR, Rule.KEY_REFERENCE),
    "AuthKey in clear": one_slot(2, 0x2085, 0x08B3, ERROR, Rule.KEY_REFERENCE, key=True),
    "WriteKey that only verifies": Case(
        with_slot(13, 0x468F, 0x003C, zone=with_slot(6, 0x8F9F, 0x001C)), ERROR, Rule.KEY_REFERENCE, 46, 13
    ),
    "WriteKey that is never written": Case(
        with_slot(13, 0x468F, 0x003C), ERROR, Rule.KEY_REFERENCE, 46, 13, wishes={"written_slots": {5, 7, 9}}
    ),
    "secret that the run does not write": Case(
        DEFAULT_608A, WARNING, Rule.UNWRITTEN_SECRET, 30, 5, wishes={"written_slots": {6, 7, 9}}
    ),
    "secret of which the run is not known": Case(with_slot(13, 0x8F8F, 0x001C), INFO, Rule.UNWRITTEN_SECRET, 46, 13),
    "device key without external signatures": one_slot(0, 0x2086, 0x0033, ERROR, Rule.DEVICE_KEY),
    "device key that hides its public key": Case(with_slot(0, 0x0085, 0x0031), ERROR, Rule.DEVICE_KEY, 20, 0),
    "device key in a data slot": Case(DEFAULT_608A, ERROR, Rule.DEVICE_KEY, 36, 8, wishes={"device_key_slot": 8}),
    "device key behind an authorization": one_slot(0, 0x0085, 0x05B3, ERROR, Rule.DEVICE_KEY),
    "device key behind the latch": one_slot(0, 0x0085, 0x1033, ERROR, Rule.DEVICE_KEY),
    "device key that GenKey replaces": one_slot(0, 0x2085, 0x0033, WARNING, Rule.DEVICE_KEY_REPLACEABLE),
    "device key that PrivWrite replaces": one_slot(0, 0x4585, 0x0033, WARNING, Rule.DEVICE_KEY_REPLACEABLE),
    "certificate in a private slot": Case(
        DEFAULT_608A, ERROR, Rule.CERTIFICATE_SLOT, 24, 2, wishes={"certificate_slots": {2}}
    ),
    "certificate in a small slot": Case(
        with_slot(7, 0x8F0F, 0x001C), ERROR, Rule.CERTIFICATE_SLOT, 34, 7, wishes={"certificate_slots": {7}}
    ),
    "certificate in a secret": one_slot(10, 0x8F8F, 0x001C, ERROR, Rule.CERTIFICATE_SLOT),
    "certificate in a slot of encrypted reads": one_slot(10, 0x8FC5, 0x001C, ERROR, Rule.CERTIFICATE_SLOT),
    "signer key as a validated key": one_slot(11, 0x8F0F, 0x0012, ERROR, Rule.CERTIFICATE_SLOT),
    "certificate that can be overwritten": one_slot(10, 0x0F0F, 0x003C, WARNING, Rule.CERTIFICATE_REPLACEABLE),
    "certificate that can be overwritten encrypted": one_slot(
        12, 0x450F, 0x003C, WARNING, Rule.CERTIFICATE_REPLACEABLE
    ),
    "slot that cannot be locked": Case(DEFAULT_608A, ERROR, Rule.SLOT_TO_LOCK, 116, 10, wishes={"slots_to_lock": {10}}),
    "slot that is locked already": Case(
        changed((88, "FFFE")), ERROR, Rule.SLOT_TO_LOCK, 36, 8, wishes={"slots_to_lock": {8}}
    ),
    "LastKeyUse used": Case(DEFAULT_608A, WARNING, Rule.LAST_KEY_USE, 68, part=Part.ATECC508A),
    "ChipOptions on a 508A": Case(changed((90, "02")), ERROR, Rule.RESERVED, 90, part=Part.ATECC508A),
    "OTPmode unknown": Case(DEFAULT_608A, WARNING, Rule.OTP_MODE, 18, part=Part.ATECC508A),
    "OTPmode consumption": Case(changed((18, "55")), INFO, Rule.OTP_MODE, 18, part=Part.ATECC508A),
    "Selector": Case(changed((19, "01")), INFO, Rule.I2C_ADDRESS_ONCE, 19, part=Part.ATECC508A),
    "clock divider on a 508A": Case(changed((19, "28")), ERROR, Rule.CLOCK_DIVIDER, 19, part=Part.ATECC508A),
    "AES on a 508A": Case(with_slot(13, 0x0F0F, 0x0038), ERROR, Rule.KEY_TYPE, 122, 13, part=Part.ATECC508A),
    "IntrusionDisable": Case(
        with_slot(13, 0x0F0F, 0x103C), WARNING, Rule.PERSISTENT_DISABLE, 122, 13, part=Part.ATECC508A
    ),
}


def run(case: Case) -> list[Finding]:
    return check_config_zone(case.zone, case.part, **{**CERTIFICATES, **case.wishes})


@pytest.mark.parametrize("name", CASES)
def test_each_wrong_setting_is_found(name: str) -> None:
    case = CASES[name]
    found = [(each.level, each.rule, each.byte, each.slot) for each in run(case)]
    assert (case.level, case.rule, case.byte, case.slot) in found


def test_each_rule_has_a_wrong_setting_that_it_finds() -> None:
    assert {case.rule for case in CASES.values()} == set(Rule)


def test_default_leaves_only_secrets_to_write() -> None:
    found = check_config_zone(DEFAULT_608A, **CERTIFICATES)  # type: ignore[arg-type]
    assert [(each.level, each.rule, each.slot) for each in found] == [
        (INFO, Rule.UNWRITTEN_SECRET, slot) for slot in (5, 6, 7, 9)
    ]


def test_run_that_writes_the_secrets_has_no_findings() -> None:
    assert check_config_zone(DEFAULT_608A, certificate_slots={10, 11, 12}, written_slots={5, 6, 7, 9}) == []


def test_clear_slot_that_is_never_written_has_no_finding() -> None:
    for slot in (10, 11, 12):
        assert not [each for each in check_config_zone(DEFAULT_608A, certificate_slots={slot}) if each.slot == slot]


def test_slot_lock_removes_the_findings_of_that_slot() -> None:
    zone = with_slot(0, 0x2085, 0x0033, zone=with_slot(10, 0x0F0F, 0x003C, zone=with_slot(13, 0x0F8F, 0x003C)))
    slots = {0, 10, 13}
    before = {each.slot for each in check_config_zone(zone, certificate_slots={10}) if each.level is WARNING}
    found = check_config_zone(zone, certificate_slots={10}, slots_to_lock=slots)
    after = [each for each in found if each.level is not INFO]
    assert before == slots
    assert after == []


@pytest.mark.parametrize(
    ("zone", "allow"),
    [
        (changed((16, "6A")), Allow.I2C_ADDRESS),
        (changed((19, "01")), Allow.I2C_ADDRESS),
        (changed((19, "01"), (85, "6A")), Allow.I2C_ADDRESS),
        (changed((18, "51")), Allow.COUNT_MATCH),
        (changed((68, "5A")), Allow.USE_LOCK),
        (changed((69, "85")), Allow.VOLATILE_KEY_PERMISSION),
        (with_slot(15, 0x8F0F, 0x0010, zone=changed((70, "03F7"))), Allow.SECURE_BOOT),
    ],
)
def test_allowed_settings_have_no_finding(zone: bytes, allow: Allow) -> None:
    assert [each for each in check_config_zone(zone) if each.level is not INFO]
    assert [each for each in check_config_zone(zone, allow=[allow]) if each.level is not INFO] == []


@pytest.mark.parametrize("address", ["C1", "00", "F0", "0E"])
def test_unreachable_address_is_refused_even_if_allowed(address: str) -> None:
    found = check_config_zone(changed((16, address)), allow=list(Allow))
    assert (ERROR, Rule.I2C_ADDRESS) in [(each.level, each.rule) for each in found]


def test_one_time_address_equal_to_the_address_has_no_finding() -> None:
    assert [each for each in check_config_zone(changed((19, "01"), (85, "C0"))) if each.level is not INFO] == []


@pytest.mark.parametrize(
    ("zone", "wishes"),
    [
        (changed((18, "01")), {}),  # the limit in a private slot
        (changed((18, "51")), {"written_slots": {6}}),  # the limit is never written
        (changed((69, "80")), {}),  # the permission by a private slot
        (changed((69, "88")), {}),  # the permission by clear data
        (changed((70, "03F5")), {}),  # the key where no public key is
        (with_slot(15, 0x8F0F, 0x0010, zone=changed((70, "03F0"))), {}),  # the digest in a private slot
        (with_slot(15, 0x8F0F, 0x0010, zone=changed((70, "02F7"))), {}),  # a signature in 36 bytes
    ],
)
def test_allowed_feature_still_needs_suitable_slots(zone: bytes, wishes: dict[str, Any]) -> None:
    assert [each for each in check_config_zone(zone, allow=list(Allow), **wishes) if each.level is ERROR]


def test_persistent_disable_is_right_with_a_way_to_set_the_latch() -> None:
    boot = with_slot(15, 0x8F0F, 0x0010, zone=with_slot(2, 0x2085, 0x1033, zone=changed((70, "0BF7"))))
    permission = with_slot(2, 0x2085, 0x1033, zone=changed((69, "85")))
    for zone in (boot, permission):
        assert [each for each in check_config_zone(zone, allow=list(Allow)) if each.level is ERROR] == []


# Errors of each published table on the part it is for, and on a 608A.
OWN_PART: dict[str, set[tuple[Rule, int]]] = {
    "cryptoauthtools-508": {(Rule.I2C_ADDRESS, 16)},
    "cryptoauthtools-608": {(Rule.I2C_ADDRESS, 16), (Rule.SECURE_BOOT, 70)},
    "zero-touch": {(Rule.I2C_ADDRESS, 16)},
    "cal-reference-608": {(Rule.COUNT_MATCH, 18), (Rule.VOLATILE_KEY_PERMISSION, 69), (Rule.SECURE_BOOT, 70)},
}


def errors(zone: bytes, part: Part) -> set[tuple[Rule, int]]:
    return {(each.rule, each.byte) for each in check_config_zone(zone, part, **CERTIFICATES) if each.level is ERROR}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_tables_on_their_own_part(name: str) -> None:
    assert errors(published(name), part_of(name)) == OWN_PART.get(name, set())


@pytest.mark.parametrize("name", [name for name in PUBLISHED if part_of(name) is Part.ATECC508A])
def test_published_508a_tables_are_refused_on_a_608(name: str) -> None:
    for part in (part for part in Part if part.is_608):
        assert (Rule.TABLE_OF_508A, 68) in errors(published(name), part)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_warnings_are_true(name: str) -> None:
    """Every published table leaves its device key or its certificates replaceable unless slots are locked."""
    findings = check_config_zone(published(name), part_of(name), **CERTIFICATES)  # type: ignore[arg-type]
    found = {each.rule for each in findings if each.level is WARNING}
    assert Rule.CERTIFICATE_REPLACEABLE in found
    assert (Rule.DEVICE_KEY_REPLACEABLE in found) is (name != "cryptoauthtools-608")


@pytest.mark.parametrize("name", MISTAKES)
def test_tables_that_bricked_chips_cut_to_128_bytes_are_refused(name: str) -> None:
    found = errors(bytes.fromhex("".join(MISTAKES[name]["text"]))[:128], Part.ATECC608A)
    assert (Rule.DEVICE_KEY, 20) in found
    assert len(found) > 5


def test_errors_come_first_and_groups_follow_the_bytes() -> None:
    levels = list(Level)
    order = [(levels.index(each.level), each.byte) for each in check_config_zone(published("cryptoauthtools-608"))]
    assert order == sorted(order)
    assert len(set(order)) > 5


def test_require_safe_lists_the_errors() -> None:
    with pytest.raises(UsageError) as caught:
        require_safe(changed((16, "6A"), (75, "01")), certificate_slots={2})
    assert caught.value.code == Code.CONFIG_ZONE_UNSAFE
    for place in ("byte 16", "byte 75", "byte 24: slot 2"):
        assert place in caught.value.what
    assert "slot 5" not in caught.value.what


def test_require_safe_returns_warnings_and_infos() -> None:
    assert [each.slot for each in require_safe(DEFAULT_608A)] == [5, 6, 7, 9]


@pytest.mark.parametrize("wish", ["certificate_slots", "slots_to_lock", "written_slots"])
@pytest.mark.parametrize("slot", [-1, 16])
def test_slots_that_do_not_exist(wish: str, slot: int) -> None:
    with pytest.raises(UsageError, match=f"Slot {slot} does not exist"):
        check_config_zone(DEFAULT_608A, **{wish: {slot}})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"Slot {slot} does not exist"):
        check_config_zone(DEFAULT_608A, device_key_slot=slot)


@pytest.mark.parametrize("length", [0, 112, 129])
def test_the_length_is_checked(length: int) -> None:
    with pytest.raises(UsageError) as caught:
        check_config_zone(bytes(length))
    assert caught.value.code == Code.CONFIG_ZONE_INVALID


@given(st.binary(min_size=128, max_size=128), st.sampled_from(Part))
def test_every_128_bytes_get_findings_inside_the_zone(zone: bytes, part: Part) -> None:
    slots = range(16)
    for each in check_config_zone(zone, part, certificate_slots=slots, slots_to_lock=slots, written_slots=set()):
        assert 16 <= each.byte < 128
        assert each.message
