"""A private key from outside: only if named, only where nothing is lost, and never in a trace.

The stock library writes the same key the same way, and signatures of the chip verify under the file's key.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from atcaprov import Act, AtcaProvError, Board, Code, Device, EmulatedHal, ProvisioningError, UsageError
from atcaprov.certs.keys import verify_digest
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.device.command_guard import act_of
from atcaprov.device.read_only import ReadOnlyHal
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import create_trace
from atcaprov.importing.private_key_import import PrivateKeyImport, plan_private_key, run_private_key
from atcaprov.inspection.snapshot import read_snapshot
from tests.importing.conftest import MakeChip
from tests.support.certificates import Key
from tests.support.chips import packet
from tests.support.power_cuts import at_a_command, commands, cut_and_repeat
from tests.support.scripted_hal import ScriptedHal
from tests.support.stock_cryptoauthlib import buffer, driven

KEY = Key.of(int.from_bytes(hashlib.sha256(b"a key from a file").digest(), "big"))
SCALAR = KEY.private.private_numbers().private_value.to_bytes(32, "big")
WRITE_KEY = bytes(range(32))
ENCRYPTED_ONLY = {3: (0x4685, 0x0033), 6: (0x8F8F, 0x001C)}
"""Slot 3 takes a key under the secret in slot 6 (SlotConfig bit 14, WriteKey 6)."""


def planned(
    hal: ScriptedHal, slot: int, *, write_key: bytes | None = None, replace_key: bool = False
) -> PrivateKeyImport:
    with Device(ReadOnlyHal(hal)) as device:
        snapshot = read_snapshot(device, slots=())
    return plan_private_key(snapshot, slot, KEY.private, write_key=write_key, replace_key=replace_key)


def imported(hal: ScriptedHal, slot: int, *, write_key: bytes | None = None, replace_key: bool = False) -> bool:
    plan = planned(hal, slot, write_key=write_key, replace_key=replace_key)
    with Device(hal) as device:
        return run_private_key(device, plan)


def refused(hal: ScriptedHal, slot: int, *, write_key: bytes | None = None) -> AtcaProvError:
    before = hal.memory.image()
    with pytest.raises(AtcaProvError) as caught:
        planned(hal, slot, write_key=write_key)
    assert hal.memory.image() == before
    assert caught.value.board is Board.UNTOUCHED
    return caught.value


def signs_as_the_file(hal: ScriptedHal, slot: int) -> bool:
    assert isinstance(hal.chip, EmulatedHal)
    digest = hashlib.sha256(b"judge").digest()
    with driven(hal.chip.chip) as wheel:
        return verify_digest(KEY.public, digest, wheel.fetch("calib_sign", 64, slot, buffer(digest)))


def test_in_clear_before_the_data_lock(make_chip: MakeChip) -> None:
    hal = make_chip(data_locked=False)
    assert imported(hal, 3)
    assert signs_as_the_file(hal, 3)
    assert [sent[2] for sent in hal.packets if sent[1] == Opcode.PRIV_WRITE] == [0x00]


def test_encrypted_after_the_data_lock(make_chip: MakeChip) -> None:
    hal = make_chip(slots=ENCRYPTED_ONLY, content={6: WRITE_KEY})
    error = refused(hal, 3)
    assert isinstance(error, UsageError)
    assert "only encrypted under the key in slot 6" in error.what
    assert imported(hal, 3, write_key=WRITE_KEY)
    assert signs_as_the_file(hal, 3)
    assert [sent[2] for sent in hal.packets if sent[1] == Opcode.PRIV_WRITE] == [0x40]
    assert not any(SCALAR in sent for sent in hal.packets)


def test_the_stock_library_writes_the_same(make_chip: MakeChip) -> None:
    ours, theirs = make_chip(data_locked=False), make_chip(data_locked=False)
    theirs.memory.restore(ours.memory.image())
    imported(ours, 3)
    assert isinstance(theirs.chip, EmulatedHal)
    with driven(theirs.chip.chip) as wheel:
        wheel.call("calib_priv_write", 3, buffer(bytes(4) + SCALAR), 0, None, None)
    assert ours.memory.image() == theirs.memory.image()


def test_a_wrong_write_key_is_told_and_changes_nothing(make_chip: MakeChip) -> None:
    hal = make_chip(slots=ENCRYPTED_ONLY, content={6: WRITE_KEY})
    before = hal.memory.image()
    with pytest.raises(AtcaProvError) as caught:
        imported(hal, 3, write_key=bytes(32))
    assert "--write-key is what slot 6" in caught.value.advice
    assert hal.memory.image() == before


def test_an_existing_key_is_not_replaced_without_the_option(make_chip: MakeChip) -> None:
    hal = make_chip(data_locked=False)
    error = refused(hal, 2)
    assert error.code == Code.SLOT_NOT_BLANK
    assert error.what.startswith("Slot 2 holds the key with id ")
    assert imported(hal, 2, replace_key=True)
    assert signs_as_the_file(hal, 2)


def test_the_same_key_again_is_not_written(make_chip: MakeChip) -> None:
    hal = make_chip(data_locked=False)
    imported(hal, 3)
    hal.packets.clear()
    assert planned(hal, 3).is_there
    assert imported(hal, 3)
    assert Opcode.PRIV_WRITE not in {sent[1] for sent in hal.packets}


def test_slots_that_do_not_take_it_are_refused(make_chip: MakeChip) -> None:
    assert "not for a private key" in refused(make_chip(), 8).what
    assert "takes no key from outside after the data lock" in refused(make_chip(), 3).what
    assert refused(make_chip(data_locked=False, locked=(3,)), 3).code == Code.SLOT_LOCKED
    assert "not locked" in refused(make_chip(config_locked=False, data_locked=False, keys={}), 3).what
    assert "not for a private key" in refused(make_chip(data_locked=False, slots={3: (0x2005, 0x0033)}), 3).what


def test_a_part_that_hides_the_public_key_proves_it_by_a_signature(make_chip: MakeChip) -> None:
    hal = make_chip(data_locked=False)
    refusal = with_crc(bytes((4, 0x0F)))
    hal.answer = lambda sent: refusal if sent[1] == Opcode.GEN_KEY else hal.chip.exchange(sent)
    assert imported(hal, 3)
    assert signs_as_the_file(hal, 3)


def test_a_write_key_that_asks_for_an_authorization_is_refused_beforehand(make_chip: MakeChip) -> None:
    hal = make_chip(slots={**ENCRYPTED_ONLY, 6: (0x8F8F, 0x079C)}, content={6: WRITE_KEY})
    error = refused(hal, 3, write_key=WRITE_KEY)
    assert error.what.startswith("The WriteKey of slot 3, in slot 6, asks for an authorization before each use")


def test_a_chip_that_holds_another_key_afterwards_is_found(make_chip: MakeChip) -> None:
    hal = make_chip(data_locked=False)
    plan = planned(hal, 2, replace_key=True)
    success = bytes.fromhex("04000340")
    hal.answer = lambda sent: success if sent[1] == Opcode.PRIV_WRITE else hal.chip.exchange(sent)
    with Device(hal) as device, pytest.raises(ProvisioningError) as caught:
        run_private_key(device, plan)
    assert caught.value.code == Code.WRITE_NOT_VERIFIED


@pytest.mark.slow
@at_a_command
def test_a_cut_import_is_finished_by_the_same_command(make_chip: MakeChip, reply_lost: bool) -> None:
    def run(device: Device) -> None:
        run_private_key(device, plan_private_key(read_snapshot(device, slots=()), 3, KEY.private))

    whole = commands(run, make_chip(data_locked=False))
    for cut in range(whole - 8, whole):
        hal = make_chip(data_locked=False)
        cut_and_repeat(run, cut, reply_lost, hal)
        assert signs_as_the_file(hal, 3)


@pytest.mark.parametrize("write_key", [None, WRITE_KEY], ids=["in clear", "encrypted"])
def test_the_key_is_in_no_trace_message_or_repr(make_chip: MakeChip, tmp_path: Path, write_key: bytes | None) -> None:
    hal = make_chip(data_locked=write_key is not None, slots=ENCRYPTED_ONLY, content={6: WRITE_KEY})
    plan = planned(hal, 3, write_key=write_key)
    trace = tmp_path / "trace"
    with Device(TracedHal(hal, create_trace(trace, "emulator:"))) as device:
        run_private_key(device, plan)
    number = str(KEY.private.private_numbers().private_value)
    shown = trace.read_text() + repr(plan)
    for secret in (SCALAR.hex(), SCALAR[8:16].hex(), number, WRITE_KEY.hex(), WRITE_KEY[8:16].hex(), repr(WRITE_KEY)):
        assert secret.lower() not in shown.lower()
    written = [line for line in trace.read_text().splitlines() if '"sent": "4b46' in line]
    assert written
    assert all("...." in line for line in written)


def test_priv_write_needs_a_permit_of_its_own(make_chip: MakeChip) -> None:
    assert act_of(packet(Opcode.PRIV_WRITE, 0, 3, bytes(68))) is Act.WRITE_PRIVATE_KEY
    hal = make_chip(data_locked=False)
    with Device(hal) as device:
        for acts in ((), (Act.WRITE_DATA, Act.WRITE_SECRET, Act.CREATE_KEY, Act.OTHER)):
            with device.permit(*acts), pytest.raises(UsageError) as caught:
                device.write_private_key(3, SCALAR)
            assert caught.value.code == Code.READ_ONLY
            assert SCALAR.hex() not in str(caught.value).lower()
    assert Opcode.PRIV_WRITE not in {sent[1] for sent in hal.packets}
