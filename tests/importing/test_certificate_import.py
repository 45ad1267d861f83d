"""Certificates of a company's CA come to a chip; the stock library and `cryptography` judge what is on it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import (
    Act,
    AtcaProvError,
    Board,
    Code,
    Device,
    EmulatedHal,
    ProvisioningError,
    SoftwareChip,
    TransportError,
)
from atcaprov.certs.definitions.definition import DeviceLocation, DeviceZone, SerialSource
from atcaprov.certs.keys import key_id
from atcaprov.chip.commands import Opcode, Zone
from atcaprov.device.read_only import ReadOnlyHal
from atcaprov.importing.certificate_import import ImportOrder, ImportPlan, plan_import, run_import
from atcaprov.importing.chip_session import look_at
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from tests.importing.conftest import KEYS, MakeChip, configured_chip
from tests.support import atcacert
from tests.support.certificates import DEVICE, ROOT, SIGNER, Key, default_definitions
from tests.support.company_ca import DEVICE_DEFINITION, HOUR, ISSUERS, NOW, SIGNER_DEFINITION, fitting, plain
from tests.support.power_cuts import at_a_command, commands, cut_and_repeat
from tests.support.scripted_hal import ScriptedHal
from tests.support.stock_cryptoauthlib import buffer, driven

pytestmark = pytest.mark.slow

KEY = KEYS[0].public


def serial(hal: ScriptedHal) -> bytes:
    config = hal.memory.config
    return bytes(config[0:4] + config[8:13])


def chip_of(hal: ScriptedHal) -> SoftwareChip:
    assert isinstance(hal.chip, EmulatedHal)
    return hal.chip.chip


def planned(hal: ScriptedHal, *certificates: bytes, **settings: Any) -> ImportPlan:
    """Look at the chip through a session that can change nothing, and plan."""
    with Device(ReadOnlyHal(hal)) as device:
        snapshot = read_snapshot(device)
    return plan_import(snapshot, ImportOrder(certificates, **settings), NOW)


def imported(hal: ScriptedHal, *certificates: bytes, **settings: Any) -> ImportPlan:
    plan = planned(hal, *certificates, **settings)
    with Device(hal) as device:
        run_import(device, plan)
    return plan


def refused(hal: ScriptedHal, *certificates: bytes, **settings: Any) -> AtcaProvError:
    before = hal.memory.image()
    with pytest.raises(AtcaProvError) as caught:
        planned(hal, *certificates, **settings)
    assert hal.memory.image() == before
    assert caught.value.board is Board.UNTOUCHED
    return caught.value


def test_a_fitting_chain_is_stored_compressed_and_the_stock_library_rebuilds_it(make_chip: MakeChip) -> None:
    hal = make_chip()
    certificate = fitting(KEY, serial(hal))
    plan = imported(hal, certificate, *ISSUERS)
    assert (plan.form, plan.key_slot, plan.can_be_verified) == ("compressed", 0, True)
    assert [write.content.slot for write in plan.writes] == [10, 12, 11]
    with driven(chip_of(hal)) as wheel:
        for definition, key, expected in (
            (SIGNER_DEFINITION, ROOT.public, ISSUERS[0]),
            (DEVICE_DEFINITION, SIGNER.public, certificate),
        ):
            assert atcacert.read_certificate(wheel, atcacert.c_definition(definition), key) == expected


def test_a_second_import_writes_nothing(make_chip: MakeChip) -> None:
    hal = make_chip()
    certificates = (fitting(KEY, serial(hal)), *ISSUERS)
    imported(hal, *certificates)
    hal.packets.clear()
    plan = imported(hal, *certificates)
    assert all(write.is_there for write in plan.writes)
    assert not [packet for packet in hal.packets if packet[1] == Opcode.WRITE]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_certificates_may_come_in_any_order(make_chip: MakeChip, order: tuple[int, ...]) -> None:
    hal = make_chip()
    certificates = (fitting(KEY, serial(hal)), *ISSUERS)
    assert planned(hal, *(certificates[number] for number in order)).chain.issuers == ISSUERS


def test_without_the_root_the_signer_is_not_stored(make_chip: MakeChip) -> None:
    hal = make_chip()
    plan = imported(hal, fitting(KEY, serial(hal)), ISSUERS[0])
    assert [write.content.slot for write in plan.writes] == [10]
    error = refused(hal, fitting(KEY, serial(hal)), ISSUERS[0], definitions=(SIGNER_DEFINITION, DEVICE_DEFINITION))
    assert (error.code, error.advice) == (Code.CHAIN_INCOMPLETE, "Give it with --chain.")


def test_a_plain_certificate_goes_into_the_named_slot_as_it_is(make_chip: MakeChip) -> None:
    hal = make_chip()
    certificate = plain(KEY)
    plan = imported(hal, certificate, x509_slot=8)
    assert plan.form == "x509"
    read = buffer(bytes(len(certificate)))
    with driven(chip_of(hal)) as wheel:
        wheel.call("calib_read_bytes_zone", Zone.DATA, 8, 0, read, len(certificate))
    assert bytes(read) == certificate


def test_a_certificate_for_the_key_of_any_slot_is_taken(make_chip: MakeChip) -> None:
    """FreeRTOS makes its key in a slot of its own choice; its certificate comes from `openssl x509 -force_pubkey`."""
    hal = make_chip()
    assert planned(hal, plain(KEYS[2].public), x509_slot=8).key_slot == 2
    assert planned(hal, plain(KEYS[2].public), x509_slot=8, key_slot=2).key_slot == 2
    error = refused(hal, plain(KEYS[2].public), x509_slot=8, key_slot=0)
    assert error.code == Code.KEY_MISMATCH


def test_a_key_that_the_chip_does_not_show_is_proved_by_a_signature(make_chip: MakeChip) -> None:
    hal = make_chip(slots={0: (0x0085, 0x0031)})
    certificate = plain(KEY)
    assert "public key: expected" in refused(hal, certificate, x509_slot=8).what
    with Device(ReadOnlyHal(hal)) as device:
        mine = look_at(device, key_slot=0, certificates=[certificate])
        other = look_at(device, key_slot=0, certificates=[plain(DEVICE.public)])
    assert plan_import(mine, ImportOrder((certificate,), key_slot=0, x509_slot=8), NOW).key_slot == 0
    assert 0 not in other.public_keys


def test_a_certificate_for_another_key_names_both(make_chip: MakeChip) -> None:
    error = refused(make_chip(), plain(DEVICE.public), x509_slot=8)
    first, second, other = (key_id(key).hex().upper() for key in (KEY, KEYS[2].public, DEVICE.public))
    assert error.what == f"public key: expected key id {first} (slot 0) or {second} (slot 2), found {other}."
    assert error.code == Code.KEY_MISMATCH


def test_a_certificate_for_another_chip_is_refused_even_as_it_is(make_chip: MakeChip) -> None:
    hal = make_chip()
    error = refused(hal, plain(KEY, "thing 0123FFFFFFFFFFFFEE"), x509_slot=8)
    own = serial(hal).hex().upper()
    assert error.what == f"subject CN: expected the chip's serial number {own}, found 0123FFFFFFFFFFFFEE."
    error = refused(hal, fitting(KEY, bytes.fromhex("0123ffffffffffffee")), *ISSUERS)
    assert "0123FFFFFFFFFFFFEE" in error.what


def test_another_curve_and_another_algorithm_are_named(make_chip: MakeChip) -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "thing")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, HOUR, HOUR + timedelta(days=9))
    error = refused(make_chip(), builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER), x509_slot=8)
    assert error.what == "key algorithm: expected a key on P-256, found RSA."


def test_dates_that_are_over_or_to_come_are_named(make_chip: MakeChip) -> None:
    hal = make_chip()
    error = refused(hal, plain(KEY, begin=HOUR - timedelta(days=9), end=HOUR - timedelta(days=1)), x509_slot=8)
    assert error.code == Code.CLOCK_WRONG
    assert "notAfter: expected after " in error.what
    error = refused(hal, plain(KEY, begin=HOUR + timedelta(days=1)), x509_slot=8)
    assert "notBefore: expected no later than " in error.what


def test_a_wrong_issuer_is_named(make_chip: MakeChip) -> None:
    hal = make_chip()
    other = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another CA")])
    error = refused(hal, plain(KEY, issuer=other), *ISSUERS, x509_slot=8)
    assert error.code == Code.CHAIN_INCOMPLETE
    assert error.what.endswith("found CN=Another CA.")
    root = x509.load_der_x509_certificate(ISSUERS[1]).subject
    error = refused(hal, plain(KEY, issuer=root), *ISSUERS, x509_slot=8)
    assert error.code == Code.CHAIN_INVALID
    assert ": signature: expected one by the key of " in error.what


def test_an_issuer_that_is_no_ca_is_named(make_chip: MakeChip) -> None:
    hal = make_chip()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "thing-0")])
    issuer = plain(SIGNER.public, "thing-0")
    error = refused(hal, plain(KEY, issuer=name), issuer, x509_slot=8)
    assert "basicConstraints: expected CA:TRUE, found none" in error.what


def test_two_definitions_that_need_the_same_bytes_are_refused(make_chip: MakeChip) -> None:
    hal = make_chip()
    same = replace(SIGNER_DEFINITION, comp_cert_dev_loc=DEVICE_DEFINITION.comp_cert_dev_loc)
    error = refused(hal, fitting(KEY, serial(hal)), *ISSUERS, definitions=(DEVICE_DEFINITION, same), overwrite=True)
    assert error.what == "The definitions device and signer both need byte 0 of slot 10."


def test_with_given_definitions_only_what_they_describe_is_stored(make_chip: MakeChip) -> None:
    hal = make_chip()
    plan = planned(hal, fitting(KEY, serial(hal)), *ISSUERS, definitions=(DEVICE_DEFINITION,))
    assert [write.content.slot for write in plan.writes] == [10]


def authority(key: Key, name: str, issuer: Key, issuer_name: str, *extensions: x509.ExtensionType) -> bytes:
    by, of = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (issuer_name, name))
    builder = x509.CertificateBuilder(by, of, key.private.public_key(), 7, HOUR, HOUR + timedelta(days=99))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer.private, hashes.SHA256()).public_bytes(Encoding.DER)


CERTIFIES = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
ONLY_SIGNS = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
KEY_ID = x509.SubjectKeyIdentifier(key_id(SIGNER.public))


@pytest.mark.parametrize(
    ("extensions", "own", "says"),
    [
        ((x509.BasicConstraints(True, None), ONLY_SIGNS), (), "keyUsage: expected keyCertSign, found none"),
        ((x509.BasicConstraints(False, None),), (), "basicConstraints: expected CA:TRUE, found CA:FALSE"),
        (
            (x509.BasicConstraints(True, None), KEY_ID),
            (x509.AuthorityKeyIdentifier(bytes(20), None, None),),
            f"authorityKeyIdentifier: expected key id {KEY_ID.digest.hex().upper()} of CN=CA, found {'00' * 20}",
        ),
    ],
)
def test_what_clients_would_reject_in_the_chain_is_named(
    make_chip: MakeChip, extensions: tuple[Any, ...], own: tuple[Any, ...], says: str
) -> None:
    issuer = authority(SIGNER, "CA", ROOT, "Root", *extensions)
    certificate = authority(KEYS[0], "thing", SIGNER, "CA", *own)
    error = refused(make_chip(), certificate, issuer, x509_slot=8)
    assert error.code == Code.CHAIN_INVALID
    assert says in error.what


def test_too_many_authorities_below_one_are_named(make_chip: MakeChip) -> None:
    anything, none_below = x509.BasicConstraints(True, None), x509.BasicConstraints(True, 0)
    issuer = authority(SIGNER, "CA", ROOT, "Root", anything, CERTIFIES)
    chain = (authority(KEYS[0], "thing", SIGNER, "CA"), issuer, authority(ROOT, "Root", ROOT, "Root", none_below))
    error = refused(make_chip(), *chain, x509_slot=8)
    assert "of CN=Root: extension basicConstraints: expected pathlen:1 or more, found pathlen:0" in error.what


def test_a_self_signed_certificate_must_be_signed_by_its_own_key(make_chip: MakeChip) -> None:
    assert planned(make_chip(), authority(KEYS[0], "thing", KEYS[0], "thing"), x509_slot=8).chain.is_verified
    error = refused(make_chip(), authority(KEYS[0], "thing", SIGNER, "thing"), x509_slot=8)
    assert "signature: expected one by the key of CN=thing, found another" in error.what
    assert not planned(make_chip(), plain(KEY), x509_slot=8).chain.is_verified


STORED = DeviceLocation(DeviceZone.DATA, 13, False, 0, 16)
IN_SLOT_8 = DeviceLocation(DeviceZone.DATA, 8, False, 0, 72)


@pytest.mark.parametrize("serial_place", [STORED, replace(STORED, slot=8, offset=72)], ids=["slot 13", "slot 8"])
def test_a_serial_number_that_the_chip_keeps_is_written_too(make_chip: MakeChip, serial_place: DeviceLocation) -> None:
    hal = make_chip()
    definition = replace(
        DEVICE_DEFINITION,
        sn_source=SerialSource.STORED,
        cert_sn_dev_loc=serial_place,
        comp_cert_dev_loc=IN_SLOT_8 if serial_place.slot == 8 else DEVICE_DEFINITION.comp_cert_dev_loc,
    )
    certificate = fitting(KEY, serial(hal))
    plan = imported(hal, certificate, *ISSUERS, definitions=(definition,))
    assert [write.content.slot for write in plan.writes][:2] == [definition.comp_cert_dev_loc.slot, serial_place.slot]
    number = definition.layout.serial_number.of(certificate)
    assert hal.memory.read_slot(serial_place.slot, serial_place.offset, 16) == number
    with driven(chip_of(hal)) as wheel:
        assert atcacert.read_certificate(wheel, atcacert.c_definition(definition), SIGNER.public) == certificate


@pytest.fixture(scope="module")
def snapshot() -> ChipSnapshot:
    with Device(configured_chip()) as device:
        return read_snapshot(device)


@given(st.integers(0, 1 << 20), st.integers(0, 7), st.booleans())
def test_a_damaged_certificate_ends_in_a_typed_error_or_a_plan(
    snapshot: ChipSnapshot, position: int, bit: int, in_issuer: bool
) -> None:
    certificates = [bytearray(fitting(KEY, snapshot.serial_number)), bytearray(ISSUERS[0])]
    damaged = certificates[in_issuer]
    damaged[position % len(damaged)] ^= 1 << bit
    given_certificates = tuple(map(bytes, certificates))
    for order in (ImportOrder(given_certificates, x509_slot=8), ImportOrder(given_certificates, (DEVICE_DEFINITION,))):
        with suppress(AtcaProvError):
            assert plan_import(snapshot, order, NOW).writes


def test_without_a_definition_that_fits_it_is_told_where_the_certificate_belongs(make_chip: MakeChip) -> None:
    hal = make_chip()
    error = refused(hal, plain(KEY), *ISSUERS)
    assert error.code == Code.CERTIFICATE_MISMATCH
    for field in ("serial number", "notBefore", "notAfter", "subject CN", "subject O", "extension keyUsage"):
        assert any(line.startswith(f"{field}: expected ") for line in error.details)
        assert field not in error.what
    assert "fit slot 8 as they are: give --slot 8" in error.advice
    assert "--out FILE" in error.advice
    error = refused(hal, plain(KEY, padding=300), *ISSUERS)
    assert "and slot 8 has 416: keep it in the firmware's flash: --out FILE writes the PEM" in error.advice
    error = refused(hal, plain(KEY))
    assert error.code == Code.CHAIN_INCOMPLETE
    assert error.advice.startswith("Give it with --chain. ")


def test_certificate_for_a_file_is_only_checked(make_chip: MakeChip) -> None:
    hal = make_chip()
    plan = imported(hal, plain(KEY), *ISSUERS, to_file=True)
    assert (plan.form, plan.writes) == ("file", ())
    assert "notBefore" not in plan.why_not_stored
    assert any(line.startswith("notBefore: expected ") for line in plan.differences)
    sent = [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(plan.chain.pem)]
    assert sent == [plan.chain.certificate, ISSUERS[0]]


def test_a_given_definition_must_fit(make_chip: MakeChip) -> None:
    hal = make_chip()
    error = refused(hal, plain(KEY), *ISSUERS, definitions=(DEVICE_DEFINITION,), to_file=True)
    assert error.code == Code.CERTIFICATE_MISMATCH
    assert error.details
    both = refused(hal, plain(KEY), *ISSUERS, definitions=(DEVICE_DEFINITION, replace(DEVICE_DEFINITION, name="b")))
    assert both.details == (*(f"device: {line}" for line in error.details), *(f"b: {line}" for line in error.details))
    other = replace(DEVICE_DEFINITION, template_id=9)
    plan = planned(hal, fitting(KEY, serial(hal)), *ISSUERS, definitions=(DEVICE_DEFINITION, other))
    assert plan.parts[0].definition == DEVICE_DEFINITION
    two = default_definitions(NOW)[1]
    in_slot_2 = replace(
        two, public_key_dev_loc=replace(two.public_key_dev_loc, slot=2), private_key_slot=2, name="second"
    )
    error = refused(hal, fitting(KEY, serial(hal)), *ISSUERS, definitions=(in_slot_2,))
    assert error.what == "The definition second is for another key: slot: expected 2, found 0."


@pytest.mark.parametrize(
    ("slot", "says", "code"),
    [
        (0, "Slot 0 is for a private key", Code.SLOT_NOT_ALLOWED),
        (5, "has 36", Code.SLOT_NOT_ALLOWED),
        (9, "has 72", Code.SLOT_NOT_ALLOWED),
    ],
)
def test_slots_that_cannot_hold_it_are_refused(make_chip: MakeChip, slot: int, says: str, code: Code) -> None:
    error = refused(make_chip(), plain(KEY), x509_slot=slot)
    assert error.code == code
    assert says in error.what or "The certificate has" in error.what


def test_rules_of_the_slot_are_named_before_anything_is_sent(make_chip: MakeChip) -> None:
    certificate = plain(KEY)
    error = refused(make_chip(slots={8: (0x8F8F, 0x003C)}), certificate, x509_slot=8)
    assert error.what.startswith("Slot 8 is secret (read: never)")
    error = refused(make_chip(slots={8: (0x8F0F, 0x003C)}), certificate, x509_slot=8)
    assert error.what == "Slot 8 takes no open data after the data lock (write: never)."
    error = refused(make_chip(slots={8: (0x0F0F, 0x0033)}), certificate, x509_slot=8)
    assert "private key" in error.what
    error = refused(make_chip(slots={8: (0x0F0F, 0x0032)}), certificate, x509_slot=8)
    assert error.what == "Slot 8 is for a public key with PubInfo: the chip changes the first byte written."
    error = refused(make_chip(locked=(8,)), certificate, x509_slot=8)
    assert error.code == Code.SLOT_LOCKED
    hal = make_chip(config_locked=False, data_locked=False)
    assert "shows no key in any slot" in refused(hal, certificate, x509_slot=8).what


def test_what_is_there_is_not_overwritten_without_the_option(make_chip: MakeChip) -> None:
    hal = make_chip(content={8: b"product data" * 4})
    error = refused(hal, plain(KEY), x509_slot=8)
    assert error.code == Code.SLOT_NOT_BLANK
    assert error.what == "Slot 8 is not blank: it holds 70726F6475637420... from byte 0 on."
    assert "--overwrite" in error.advice
    imported(hal, plain(KEY), x509_slot=8, overwrite=True)


def test_what_is_there_already_may_be_in_a_slot_that_takes_nothing_more(make_chip: MakeChip) -> None:
    hal = make_chip()
    certificate = plain(KEY)
    imported(hal, certificate, x509_slot=8)
    hal.memory.config[89] &= 0xFE  # SlotLocked of slot 8
    assert imported(hal, certificate, x509_slot=8).writes[0].is_there
    assert refused(hal, plain(KEY, "another"), x509_slot=8).code == Code.SLOT_LOCKED


def test_bytes_behind_the_certificate_stay(make_chip: MakeChip) -> None:
    hal = make_chip()
    certificate = plain(KEY)
    rest = bytes(range(100))
    hal.memory.write_slot(8, len(certificate) + 3, rest[: 416 - len(certificate) - 3])
    before = hal.memory.read_slot(8, 0, 416)
    imported(hal, certificate, x509_slot=8)
    assert hal.memory.read_slot(8, 0, 416) == certificate + before[len(certificate) :]


def test_before_the_data_lock_overwrite_is_needed_and_nothing_is_verified(make_chip: MakeChip) -> None:
    hal = make_chip(data_locked=False)
    certificates = (fitting(KEY, serial(hal)), *ISSUERS)
    error = refused(hal, *certificates)
    assert error.what == "The data zone is not locked yet, so nobody can read what slot 10 holds now."
    plan = imported(hal, *certificates, overwrite=True)
    assert not plan.can_be_verified
    hal.memory.config[86] = 0
    assert all(write.is_there for write in planned(hal, *certificates).writes)


def test_another_chip_between_look_and_write_gets_nothing(make_chip: MakeChip) -> None:
    first, second = make_chip(), make_chip()
    plan = planned(first, plain(KEY), x509_slot=8)
    before = second.memory.image()
    with Device(second) as device, pytest.raises(TransportError, match="Another chip"):
        run_import(device, plan)
    assert second.memory.image() == before


def test_a_write_that_the_chip_lost_is_found(make_chip: MakeChip) -> None:
    hal = make_chip()
    plan = planned(hal, plain(KEY), x509_slot=8)
    success = bytes.fromhex("04000340")
    hal.answer = lambda packet: success if packet[1] == Opcode.WRITE else hal.chip.exchange(packet)
    with Device(hal) as device, pytest.raises(ProvisioningError, match="expected 30, found FF") as caught:
        run_import(device, plan)
    assert caught.value.code == Code.WRITE_NOT_VERIFIED


def test_only_open_data_is_written(make_chip: MakeChip) -> None:
    hal = make_chip()
    imported(hal, fitting(KEY, serial(hal)), *ISSUERS)
    changing = {packet[1] for packet in hal.packets} - {Opcode.READ, Opcode.INFO, Opcode.GEN_KEY}
    assert changing == {Opcode.WRITE}
    assert {packet[2] for packet in hal.packets if packet[1] == Opcode.WRITE} == {0x82}
    assert {packet[2] for packet in hal.packets if packet[1] == Opcode.GEN_KEY} == {0x00}
    with Device(hal) as device, pytest.raises(AtcaProvError), device.permit(Act.WRITE_DATA):
        device.lock_slot(10)


@at_a_command
def test_a_cut_import_is_finished_by_the_same_command(make_chip: MakeChip, reply_lost: bool) -> None:
    certificates: tuple[bytes, ...] = ()
    definitions = (DEVICE_DEFINITION, SIGNER_DEFINITION)

    def run(device: Device) -> None:
        snapshot = read_snapshot(device, slots=(10, 11, 12))
        run_import(device, plan_import(snapshot, ImportOrder(certificates, definitions), NOW))

    hal = make_chip()
    certificates = (fitting(KEY, serial(hal)), *ISSUERS)
    commands(run, hal)
    writes = [number for number, packet in enumerate(hal.packets) if packet[1] == Opcode.WRITE]
    expected = hal.memory.image()
    for cut in (*writes, writes[-1] + 1):  # all other commands only read
        fresh = make_chip()
        fresh.memory.config[0:13] = hal.memory.config[0:13]
        cut_and_repeat(run, cut, reply_lost, fresh)
        assert fresh.memory.image() == expected, cut
